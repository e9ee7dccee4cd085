"""The formats by name."""

from __future__ import annotations

from pathlib import Path

from ...errors import CommandError
from .base import Export
from .coco import CocoJson
from .davis import DavisMasks
from .jsonl import JsonLines
from .mot import MotText
from .table import CsvTable

#: What `siampolar track --export NAME:PATH` takes.
FORMATS: dict[str, type[Export]] = {
    "jsonl": JsonLines,
    "davis": DavisMasks,
    "coco": CocoJson,
    "mot": MotText,
    "csv": CsvTable,
}


def parse_export(text: str) -> tuple[type[Export], Path]:
    """``davis:masks`` as a format and where to write it.

    Raises:
        CommandError: no colon, an unknown format, no path, or one that cannot be written.
    """
    name, colon, path = text.partition(":")
    if name not in FORMATS or not colon or not path:
        raise CommandError(f"--export {text!r}: must be FORMAT:PATH; formats: {', '.join(FORMATS)}")
    place = Path(path)
    if FORMATS[name] is DavisMasks and place.exists():
        raise CommandError(f"{place}: exists already; give the name of a new folder")
    if place.is_dir() or not place.resolve().parent.is_dir():
        raise CommandError(f"{place}: cannot be written; its folder must exist")
    return FORMATS[name], place
