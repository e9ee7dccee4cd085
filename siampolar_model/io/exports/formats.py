"""The formats by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ...errors import CommandError
from .base import Export
from .coco import CocoJson
from .davis import DavisMasks
from .jsonl import JsonLines
from .mot import MotText
from .rerun import RerunRecording
from .table import CsvTable

#: What `siampolar track --export NAME:PATH` takes.
FORMATS: dict[str, type[Export]] = {
    "jsonl": JsonLines,
    "davis": DavisMasks,
    "coco": CocoJson,
    "mot": MotText,
    "csv": CsvTable,
    "rerun": RerunRecording,
}


def parse_export(text: str) -> tuple[type[Export], Path]:
    """``davis:masks`` as a format and where to write it.

    Raises:
        CommandError: no colon, an unknown format, or no path.
    """
    name, colon, path = text.partition(":")
    if name not in FORMATS or not colon or not path:
        raise CommandError(f"--export {text!r}: must be FORMAT:PATH; formats: {', '.join(FORMATS)}")
    return FORMATS[name], Path(path)


def check_place(make: type[Export], path: Path) -> None:
    """Refuse a place that an export cannot be written to, before the work instead of after it.

    Raises:
        CommandError: a folder that does not exist, something in the way, or a package that the
            format needs and that is not installed.
    """
    if make is RerunRecording and find_spec("rerun") is None:
        raise CommandError("--export rerun needs rerun-sdk: pip install rerun-sdk")
    if make is DavisMasks and path.exists():
        raise CommandError(f"{path}: exists already; give the name of a new folder")
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise CommandError(f"{path}: cannot be written; its folder must exist")
