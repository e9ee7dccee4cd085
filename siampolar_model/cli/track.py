"""``siampolar track``: follow objects through a video."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Annotated

import typer

from ..errors import CommandError
from ..geometry.box import parse_box
from .console import check_distinct, check_writable, progress_bar
from .options import (
    DEFAULT_MODEL,
    Engine,
    First,
    Last,
    Model,
    Precision,
    Set,
    Threads,
    Video,
    tracker_settings,
)


def track(
    video: Video,
    box: Annotated[
        list[str], typer.Option(help="x,y,w,h in pixels of the first frame; may be repeated.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Video to write (H.264, .mp4).")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="File to write one line of JSON per frame to.")
    ] = None,
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    assignments: Set = None,
    first: First = 0,
    last: Last = None,
) -> None:
    """Follow objects through a video and draw their outlines."""
    from ..images.frame import Frame
    from ..io.image_folder import image_files
    from ..io.jsonl import json_line
    from ..io.video import VideoReader, VideoWriter
    from ..rendering.draw import draw
    from ..tracking.tracker import Tracker

    if output is None and jsonl is None:
        raise CommandError("nothing to write: give -o OUT.mp4, --jsonl FILE or both")
    targets = [parse_box(text) for text in box]
    settings = tracker_settings(assignments)
    inputs = [video, *(image_files(video) if video.is_dir() else ())]
    check_distinct(inputs, (output, jsonl))
    check_writable(jsonl)
    with VideoReader(video, first=first, last=last) as reader:
        tracker = Tracker.from_pretrained(
            model, engine=engine, settings=settings, precision=precision, num_threads=threads
        )
        typer.echo(tracker.engine.choice, err=True)
        writer = None if output is None else VideoWriter(output, reader.fps)
        lines: IO[str] | None = None
        try:
            with progress_bar() as progress:
                task = progress.add_task("tracking", total=reader.n_frames)
                for frame in reader:
                    view = Frame.from_bgr(frame.image)
                    if not tracker.ids:
                        for one in targets:
                            tracker.start(view, one)
                        # Only now, so that a refused box leaves an older file as it was.
                        lines = None if jsonl is None else jsonl.open("w", encoding="utf-8")
                    # The first image is tracked as well, as in the node, so that it has an
                    # outline too.
                    results = tracker.update(view)
                    if lines is not None:
                        lines.write(json_line(frame.index, frame.stamp_ns, results))
                    if writer is not None:
                        writer.write(draw(frame.image, results))
                    progress.advance(task)
        finally:
            if writer is not None:
                writer.close()
            if lines is not None:
                lines.close()
