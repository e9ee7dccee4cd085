"""``siampolar track``: follow objects through a video, a camera or a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import CommandError, VideoError
from .console import Problems, check_distinct, progress_bar
from .inits import Init, check_inits, init_of_option, inits_of_mask, read_inits
from .options import (
    DEFAULT_MODEL,
    Engine,
    First,
    Last,
    Model,
    Precision,
    Provider,
    Set,
    Source,
    Threads,
    tracker_settings,
)
from .select import select_boxes

if TYPE_CHECKING:
    from ..io.exports.base import Export
    from ..io.live import LiveSource, MotionJpeg
    from ..io.video import VideoFrame, VideoReader


def track(
    source: Source,
    box: Annotated[
        list[str] | None,
        typer.Option(help="x,y,w,h in pixels of the first frame; may be repeated."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Index or grey image of the first frame's size: a target for each of its values."
        ),
    ] = None,
    select: Annotated[
        bool,
        typer.Option("--select", help="Draw boxes on the first frame, in a window or a browser."),
    ] = False,
    inits: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with boxes on later frames, and corrections by the id of a target: "
            '[{"frame": 40, "box": [x, y, w, h], "id": 1}, ...]; id is optional.'
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Video to write (H.264, .mp4).")
    ] = None,
    jsonl: Annotated[Path | None, typer.Option(help="The same as --export jsonl:FILE.")] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT:PATH",
            help="Results in a format: jsonl, davis (a new folder of index PNGs), coco, mot, csv "
            "or rerun (for its viewer); may be repeated.",
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    precision: Precision = "auto",
    provider: Provider = "cpu",
    threads: Threads = None,
    assignments: Set = None,
    first: First = 0,
    last: Last = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")
    ] = False,
) -> None:
    """Follow objects through a video, a camera or a stream.

    Ctrl-C and SIGTERM end it; what was tracked until then is written.
    """
    from ..io.exports.formats import FORMATS, check_place, parse_export
    from ..io.source import open_video
    from ..io.video import DEFAULT_FPS, VideoWriter
    from ..tracking.tracker import Tracker
    from .tracking_run import TrackingRun

    if output is None and jsonl is None and not export:
        raise CommandError(
            "nothing to write: give -o OUT.mp4, --jsonl FILE or --export FORMAT:PATH"
        )
    if not (box or inits or mask or select):
        raise CommandError(
            "nothing to follow: give --box x,y,w,h, --select, --mask FILE or --inits FILE"
        )
    if select and source == "-":
        raise CommandError("--select does not go with motion JPEG on standard input")
    settings = tracker_settings(assignments)
    problems = Problems()
    starts: list[Init] = []
    exports: list[tuple[type[Export], Path]] = []
    for text in box or ():
        with problems.kept():
            starts.append(init_of_option(text))
    if inits is not None:
        with problems.kept():
            starts += read_inits(inits)
    for text in export or ():
        with problems.kept():
            exports.append(parse_export(text))
    if jsonl is not None:
        exports.append((FORMATS["jsonl"], jsonl))
    for format, path in exports:
        with problems.kept():
            check_place(format, path)
    written = [*([] if output is None else [output]), *(path for _, path in exports)]
    with problems.kept():
        check_distinct(
            [*_files_of(source), *(one for one in (inits, mask) if one is not None)], written
        )
    with ExitStack() as stack:
        fps = DEFAULT_FPS
        with problems.kept():
            reader = open_video(source, first=first, last=last)
            stack.enter_context(reader)
            fps = getattr(reader, "fps", DEFAULT_FPS)
        video = None
        with problems.kept():
            video = None if output is None else VideoWriter(output, fps)
        if mask is not None:
            with problems.kept():
                starts += inits_of_mask(mask, (reader.width, reader.height))
        problems.refuse()
        frames: Iterator[VideoFrame] = iter(reader)
        if select:
            # On the very image that is tracked first: a camera's next one may show another place.
            shown = next(frames)
            frames = chain([shown], frames)
            starts += select_boxes(shown.image)
        starts = check_inits(
            starts, (reader.width, reader.height), first, _end(reader, first), settings
        )
        tracker = Tracker.from_pretrained(
            model,
            engine=engine,
            settings=settings,
            precision=precision,
            num_threads=threads,
            provider=provider,
        )
        if not quiet:
            typer.echo(tracker.engine.choice, err=True)
        run = TrackingRun(
            tracker, reader, frames, starts, video=video, exports=exports, on_notice=_warn
        )
        with progress_bar(quiet) as progress:
            task = progress.add_task("tracking", total=getattr(reader, "n_frames", None))
            run.work(lambda: progress.advance(task))
    if not quiet:
        for line in run.summary.lines(run.seconds, written):
            typer.echo(line, err=True)
    if run.early is not None:
        raise run.early
    if run.waiting:
        names = ", ".join(init.source for init in run.waiting)
        raise CommandError(f"the video ended before the frame of {names}")


def _warn(notice: str) -> None:
    typer.echo(f"warning: {notice}", err=True)


def _end(reader: VideoReader | LiveSource | MotionJpeg, first: int) -> int | None:
    """Index after the last frame, where the source knows it."""
    n_frames = getattr(reader, "n_frames", None)
    return None if n_frames is None else first + n_frames


def _files_of(source: str) -> list[Path]:
    """The files that must not be replaced."""
    from ..io.image_folder import image_files

    path = Path(source)
    if not path.is_dir():
        return [path]
    try:
        return [path, *image_files(path)]
    except VideoError:
        return [path]  # opening it says what is wrong
