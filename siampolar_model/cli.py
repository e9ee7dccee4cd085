"""The command ``siampolar``.

Its own sub-commands stand here or are listed in ``_OWN``. Other packages add theirs through entry
points of the group ``siampolar.commands`` (a function or a ``typer.Typer``), which are imported
only when they are called or listed; so this file knows neither ROS nor training.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich import box as boxes
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from typer.core import TyperGroup

from .results import parse_box

#: Where other packages register sub-commands.
ENTRY_POINT_GROUP = "siampolar.commands"

# Our own commands that live in files of their own.
_OWN = (
    EntryPoint("bench", "siampolar_model.bench.command:bench", ENTRY_POINT_GROUP),
    EntryPoint(
        "build-engine", "siampolar_model.build_engine_command:build_engine", ENTRY_POINT_GROUP
    ),
    EntryPoint("quantize", "siampolar_model.quantize_command:quantize", ENTRY_POINT_GROUP),
    EntryPoint("replay", "siampolar_model.replay_command:replay", ENTRY_POINT_GROUP),
)

# Typer before 0.2x builds on click, later ones carry a copy; both derive their errors from this.
_UsageError: Any = typer.BadParameter.__mro__[1]


#: Modules that may be absent although the package is installed, and how to get them.
_MISSING = {
    "cv2": "OpenCV is missing: apt install python3-opencv, or pip install opencv-python-headless",
    "rosbags": "rosbags is missing: pip install '.[replay]' in siampolar_ros's folder",
    "av": "PyAV is missing: apt install python3-av, or pip install av",
    "onnx": "onnx is missing: pip install onnx",
}

# Errors with a message for the user, by name: their modules cannot be imported everywhere.
_MENDABLE = {
    (f"siampolar_model.{module}", name)
    for module, name in (
        ("bags", "BagError"), ("bench", "BenchError"), ("calibration", "CalibrationError"),
        ("cli", "CommandError"), ("engines.base", "EngineError"), ("evaluate", "DatasetError"),
        ("frames", "FrameError"), ("quantize", "QuantizationError"), ("replay", "ReplayError"),
        ("results", "BoxError"), ("tracker", "TargetLimitError"), ("video", "VideoError"),
    )
}  # fmt: skip


class CommandError(Exception):
    """Raised by a sub-command to end with this one line on stderr and exit code 2."""


class _Commands(TyperGroup):
    """Our own commands, and those of the entry points."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_plugins())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _plugins():
            return own
        command = typer.main.get_command(_load(_plugins()[cmd_name]))
        command.name = cmd_name
        return command


def _plugins() -> dict[str, EntryPoint]:
    found = (*_OWN, *entry_points(group=ENTRY_POINT_GROUP))
    return {entry.name: entry for entry in found}


def _load(entry: EntryPoint) -> typer.Typer:
    """The Typer application of an entry point; one that says why if it cannot be imported."""
    app = typer.Typer(add_completion=False)
    try:
        loaded = entry.load()
    except Exception as error:
        reason = _missing_module(error) or " ".join(str(error).split()) or type(error).__name__
        message = f"{entry.name} cannot be loaded: {reason}"

        def unavailable() -> None:
            raise CommandError(message)

        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(help=f"({message})", context_settings=settings)(unavailable)
        return app
    if isinstance(loaded, typer.Typer):
        return loaded
    app.command()(loaded)
    return app


app = typer.Typer(cls=_Commands, add_completion=False, pretty_exceptions_enable=False)

_Model = Annotated[str, typer.Option(help="Shipped model, or the folder of one.")]
_Engine = Annotated[
    str, typer.Option(help="Runtime of the network; auto: the fastest that runs here.")
]
Precision = Annotated[
    str, typer.Option(help="auto, fp32, bf16, fp16 or int8; auto: the fastest that runs here.")
]
_Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads of the engine; default: one per core.")
]
_First = Annotated[int, typer.Option(min=0, help="Index of the first frame.")]
_Last = Annotated[int | None, typer.Option(min=0, help="Index of the last frame, included.")]
_Video = Annotated[Path, typer.Argument(help="Video file or folder of images.")]
_DEFAULT_MODEL = "siampolar_lite0"


@app.callback(invoke_without_command=True)
def _root(ctx: typer.Context) -> None:
    """Follow any object pointed at with one box."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command()
def track(
    video: _Video,
    box: Annotated[
        list[str], typer.Option(help="x,y,w,h in pixels of the first frame; may be repeated.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Video to write (H.264, .mp4).")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="File to write one line of JSON per frame to.")
    ] = None,
    model: _Model = _DEFAULT_MODEL,
    engine: _Engine = "auto",
    precision: Precision = "auto",
    threads: _Threads = None,
    first: _First = 0,
    last: _Last = None,
) -> None:
    """Follow objects through a video and draw their outlines."""
    from .draw import draw_results
    from .frames import Frame
    from .jsonl import json_line
    from .tracker import Tracker
    from .video import VideoReader, VideoWriter, image_files

    if output is None and jsonl is None:
        raise CommandError("nothing to write: give -o OUT.mp4, --jsonl FILE or both")
    targets = [parse_box(text) for text in box]
    inputs = [video, *(image_files(video) if video.is_dir() else ())]
    check_distinct(inputs, (output, jsonl))
    check_writable(jsonl)
    with VideoReader(video, first=first, last=last) as reader:
        tracker = Tracker.from_pretrained(
            model, engine=engine, precision=precision, num_threads=threads
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
                            tracker.init(view, one)
                        # Not before: what is refused leaves an older file as it was.
                        lines = None if jsonl is None else jsonl.open("w", encoding="utf-8")
                    # The first image is tracked as well, as the node does, which gives an
                    # outline on it.
                    results = tracker.track(view)
                    if lines is not None:
                        lines.write(json_line(frame.index, frame.stamp_ns, results))
                    if writer is not None:
                        writer.write(draw_results(frame.image, results))
                    progress.advance(task)
        finally:
            if writer is not None:
                writer.close()
            if lines is not None:
                lines.close()


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Option(help="Data set in DAVIS layout.")],
    model: _Model = _DEFAULT_MODEL,
    engine: _Engine = "auto",
    precision: Precision = "auto",
    threads: _Threads = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File to write all figures to.")
    ] = None,
    overlays: Annotated[
        Path | None, typer.Option(help="Folder for one video per sequence, truth in white.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for one plot per sequence (needs matplotlib).")
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Only this sequence; may be repeated.")
    ] = None,
) -> None:
    """Score a model on a data set by the DAVIS-2016 protocol."""
    from .evaluate import evaluate_sequence, find_sequences, plot_sequence, summarize, warm_up
    from .pretrained import model_folder, sha256
    from .tracker import Tracker
    from .versions import machine, versions

    sequences = find_sequences(data, sequence or ())
    if plot is not None:
        _require_matplotlib()
    drawn = [
        folder / f"{one.name}.{suffix}"
        for folder, suffix in ((overlays, "mp4"), (plot, "png"))
        for one in sequences
        if folder is not None
    ]
    check_distinct((p for one in sequences for p in one.images + one.masks), (json_file, *drawn))
    check_writable(json_file)
    for folder in (overlays, plot):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    weights = model_folder(model) / "search.onnx"
    tracker = Tracker.from_pretrained(
        model, engine=engine, precision=precision, num_threads=threads
    )
    typer.echo(tracker.engine.choice, err=True)
    warm_up(tracker, sequences[0])
    scores = []
    with progress_bar() as progress:
        task = progress.add_task("", total=sum(len(one.images) for one in sequences))
        for one in sequences:
            progress.update(task, description=one.name)
            overlay = None if overlays is None else overlays / f"{one.name}.mp4"
            scores.append(
                evaluate_sequence(
                    tracker, one, overlay=overlay, on_frame=lambda: progress.advance(task)
                )
            )
            if plot is not None:
                plot_sequence(scores[-1], plot / f"{one.name}.png")
    result = {
        "data": data.resolve().name,
        "model": tracker.spec.name,
        "search_sha256": sha256(weights),
        "engine": tracker.engine.name,
        "precision": tracker.engine.precision,
        "versions": versions(),
        "machine": machine(),
        **summarize(scores),
    }
    write_json(json_file, result)
    _print_scores(result)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; what the user can mend is one line on stderr, code 2."""
    try:
        code = app(list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
    except Exception as error:
        message = _message_of(error)
        if message is None:
            raise
        typer.echo(f"error: {message}", err=True)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _message_of(error: Exception) -> str | None:
    """One line for an error that the user can mend; None for a defect of ours."""
    if isinstance(error, _UsageError):
        return " ".join(error.format_message().split())
    if isinstance(error, typer.Abort):
        return "aborted"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    names = {(one.__module__, one.__name__) for one in type(error).__mro__}
    if isinstance(error, CommandError) or names & _MENDABLE:
        return " ".join(str(error).split())
    return _missing_module(error)


def _missing_module(error: Exception) -> str | None:
    """How to get the module whose absence an error reports, if it is one of ours."""
    if isinstance(error, ModuleNotFoundError):
        return _MISSING.get((error.name or "").partition(".")[0])
    return None


def progress_bar() -> Progress:
    """A progress bar on stderr, silent where that is no terminal."""
    terminal = sys.stderr.isatty()
    console = Console(stderr=True, quiet=not terminal)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not terminal,
    )


def check_distinct(inputs: Iterable[Path], outputs: Iterable[Path | None]) -> None:
    """Refuse an output that would replace an input or another output."""
    read = {path.resolve() for path in inputs}
    written = set()
    for path in outputs:
        if path is None:
            continue
        place = path.resolve()
        if place in read:
            raise CommandError(f"{path}: the output would replace the input")
        if place in written:
            raise CommandError(f"{path}: two outputs in one file")
        written.add(place)


def check_writable(path: Path | None) -> None:
    """Fail before the work, not after it."""
    if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise CommandError(f"{path}: cannot be written; its folder must exist")


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise CommandError("--plot needs matplotlib: pip install matplotlib")


def _print_scores(result: dict[str, Any]) -> None:
    columns = (
        ("J", "J_mean"), ("J rec", "J_recall"), ("J dec", "J_decay"),
        ("F", "F_mean"), ("F rec", "F_recall"), ("F dec", "F_decay"),
        ("box", "box_iou_mean"), ("lost", "lost_frames"), ("of", "frames"),
    )  # fmt: skip
    title = f"{result['model']} ({result['engine']}) on {result['data']}"
    # As many columns as fit 80 characters: mean, recall and decay of J and F, box IoU, and
    # frames reported lost of all frames.
    table = Table(title=title, box=boxes.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("sequence", no_wrap=True)
    for title, _ in columns:
        table.add_column(title, justify="right")

    def cells(figures: dict[str, Any]) -> list[str]:
        values = [figures[key] for _, key in columns]
        return [
            "-" if value is None else str(value) if isinstance(value, int) else f"{value:.1%}"[:-1]
            for value in values
        ]

    for name, figures in result["sequences"].items():
        table.add_row(name, *cells(figures))
    table.add_section()
    table.add_row("mean", *cells(result), style="bold")
    console = Console()
    console.print(table)
    console.print(f"{result['fps']:.1f} frames/s in the tracker (median, warm)", highlight=False)


if __name__ == "__main__":
    main()
