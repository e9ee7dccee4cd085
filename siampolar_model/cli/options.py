"""Arguments and options that several commands share, and what ``--set`` gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ..errors import CommandError
from ..session.settings import SessionSettings
from ..settings import Value, settings_of
from ..tracking.settings import TrackerSettings

S = TypeVar("S")

DEFAULT_MODEL = "siampolar_lite0"

_MODEL_HELP = "Shipped model, or the folder of one."
Model = Annotated[str, typer.Option(help=_MODEL_HELP)]
ModelArgument = Annotated[str, typer.Argument(help=_MODEL_HELP)]
Engine = Annotated[
    str, typer.Option(help="Runtime of the network; auto: the fastest that runs here.")
]
Precision = Annotated[
    str, typer.Option(help="auto, fp32, bf16, fp16 or int8; auto: the fastest that runs here.")
]
Provider = Annotated[
    str,
    typer.Option(
        help="What the engine onnxruntime computes with: cpu, cuda, tensorrt, openvino, coreml or "
        "xnnpack; torch: cpu or cuda."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads of the engine; default: one per core, or fewer while other processes keep "
        "cores busy.",
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        help="Video file, folder of images, camera (0 or /dev/video0), address of a stream "
        "(rtsp://, http://, ...), or - for motion JPEG on standard input."
    ),
]
Video = Annotated[Path, typer.Argument(help="Video file or folder of images.")]
First = Annotated[int, typer.Option(min=0, help="Index of the first frame.")]
Last = Annotated[int | None, typer.Option(min=0, help="Index of the last frame, included.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="File to write all figures to.")]


def set_help(*classes: type) -> str:
    """The help of ``--set``: every setting of these dataclasses with its default and range."""
    rows = [
        f"{one.name}={one.default}: {one.help} Allowed: {one.allowed}."
        for cls in classes
        for one in settings_of(cls)
    ]
    return "\n\n".join(["A setting, NAME=VALUE; may be repeated. Settings and defaults:", *rows])


Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help=set_help(TrackerSettings)),
]
SetWithSession = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help=set_help(TrackerSettings, SessionSettings)),
]


def set_values(texts: Iterable[str] | None, *classes: type) -> dict[str, Value]:
    """The values that ``--set`` gives for settings of these dataclasses, by name.

    Raises:
        CommandError: not NAME=VALUE, an unknown or renamed setting, or a value that is not allowed.
    """
    known = {one.name: one for cls in classes for one in settings_of(cls)}
    old_names = {one.old_name: one for one in known.values() if one.old_name}
    values: dict[str, Value] = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise CommandError(f"--set {text}: must be NAME=VALUE, such as lost_frames=20")
        if name in old_names:
            raise CommandError(f"--set {text}: {old_names[name].renamed}")
        if name not in known:
            close = get_close_matches(name, known, n=3)
            meant = f"did you mean {' or '.join(close)}? " if close else ""
            raise CommandError(
                f"--set {text}: there is no setting {name!r}; {meant}allowed are {', '.join(known)}"
            )
        try:
            values[name] = known[name].parse(value)
        except ValueError as error:
            raise CommandError(f"--set {text}: {error}") from None
    return values


def settings_with(cls: type[S], values: Mapping[str, Value]) -> S:
    """The default settings, changed by those of the values that belong to this dataclass.

    Raises:
        CommandError: values that do not fit together.
    """
    names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
    try:
        return cls(**{name: value for name, value in values.items() if name in names})
    except ValueError as error:
        raise CommandError(f"--set: {error}") from None


def tracker_settings(texts: Iterable[str] | None) -> TrackerSettings:
    """The tracker's settings with what ``--set`` gives.

    Raises:
        CommandError: see :func:`set_values` and :func:`settings_with`.
    """
    return settings_with(TrackerSettings, set_values(texts, TrackerSettings))
