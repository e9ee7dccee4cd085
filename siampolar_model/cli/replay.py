"""``siampolar replay``: a recording through the node's session, into a bag, lines and a video."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CommandError, SiampolarError, counted
from ..geometry.box import parse_box
from ..io.bags import BagReader
from ..io.staging import Staging
from ..replay.outputs import ReplayOutputs
from ..replay.replay import Replay, TimedBox
from ..session.settings import SessionSettings
from ..tracking.settings import TrackerSettings
from ..tracking.tracker import Tracker
from .console import check_distinct, one_line, progress_bar
from .options import (
    DEFAULT_MODEL,
    Engine,
    Model,
    Precision,
    Provider,
    SetWithSession,
    Threads,
    set_values,
    settings_with,
)


def replay(
    bag: Annotated[Path, typer.Argument(help="rosbag2 folder, or its .mcap or .db3 file.")],
    topic: Annotated[
        str | None, typer.Option(help="Image topic; not needed where there is only one.")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="x,y,w,h in pixels; may be repeated.")
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(
            help="Time of the image a box was drawn on, in seconds after the first; one per --box."
        ),
    ] = None,
    inits: Annotated[
        str | None, typer.Option(help="Topic of recorded InitTarget messages to follow.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder for a bag of the results.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="File to write one line of JSON per image to.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="Video to write (H.264, .mp4).")] = None,
    assignments: SetWithSession = None,
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    precision: Precision = "auto",
    provider: Provider = "cpu",
    threads: Threads = None,
) -> None:
    """Track in a recorded bag with the node's session, image by image, without ROS."""
    boxes = _timed_boxes(box or [], at or [])
    if not boxes and inits is None:
        raise CommandError("nothing to follow: give --box x,y,w,h or --inits TOPIC")
    if output is None and jsonl is None and video is None:
        raise CommandError("nothing to write: give -o BAG, --jsonl FILE or --video FILE.mp4")
    if output is not None and output.exists():
        raise CommandError(f"{output}: exists already; give the name of a new folder")
    check_distinct([bag], (output, jsonl, video))
    values = set_values(assignments, TrackerSettings, SessionSettings)
    settings = settings_with(TrackerSettings, values)
    session_settings = settings_with(SessionSettings, values)
    staging = Staging()
    try:
        with ExitStack() as stack:
            reader = stack.enter_context(BagReader(bag))
            stack.callback(_warn, reader)
            image_topic = reader.image_topic(topic)
            topics = [image_topic] if inits is None else [image_topic, reader.init_topic(inits)]
            tracker = Tracker.from_pretrained(
                model,
                engine=engine,
                settings=settings,
                precision=precision,
                num_threads=threads,
                provider=provider,
            )
            run = Replay(tracker, boxes, session_settings)
            stack.enter_context(staging)
            outputs = stack.enter_context(
                ReplayOutputs(
                    reader,
                    image_topic,
                    partial(typer.echo, err=True),
                    bag=output and staging.place(output),
                    jsonl=jsonl and staging.place(jsonl),
                    video=video and staging.place(video),
                )
            )
            progress = stack.enter_context(progress_bar())
            task = progress.add_task("replaying", total=reader.count(image_topic))
            time_ns = 0
            for message in reader.messages(*topics):
                time_ns = message.time_ns
                events = run.feed(message)
                outputs.take(run.images - 1, time_ns, events)
                progress.update(task, completed=run.images)
            outputs.take(run.images - 1, time_ns, run.finish())
    except (SiampolarError, OSError) as error:
        raise CommandError(staging.final_names(one_line(error))) from None
    images = counted(run.images, "image")
    typer.echo(f"{images}, {run.refused} of them could not be read", err=True)


def _warn(reader: BagReader) -> None:
    for notice in reader.notices:
        typer.echo(f"warning: {notice}", err=True)


def _timed_boxes(boxes: list[str], at: list[float]) -> list[TimedBox]:
    if at and len(at) != len(boxes):
        raise CommandError(
            f"--at is given {len(at)} times and --box {len(boxes)} times; give one for each"
        )
    times = at or [0.0] * len(boxes)
    return [TimedBox(parse_box(one), at_s) for one, at_s in zip(boxes, times, strict=True)]
