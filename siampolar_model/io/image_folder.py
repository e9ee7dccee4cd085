"""The pictures of a folder in their order, every file accounted for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import FrameError, VideoError, counted
from ..images.picture import PICTURE_SUFFIXES, check_picture

#: Pictures that are not read. Others than these, such as texts next to the frames, are no surprise.
_OTHER_PICTURES = (
    ".avif", ".dng", ".exr", ".gif", ".hdr", ".heic", ".heif", ".jp2", ".jxl", ".pbm", ".pfm",
    ".pnm", ".tga",
)  # fmt: skip

_WHOLE = re.compile(r"(\d+)")
_DECIMAL = re.compile(r"(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class ImageFolder:
    """Pictures of one folder in the order of their names.

    Attributes:
        files: sorted, numbers in names by their value.
        notices: pictures that are left out, and which order was taken where another one was
            possible, one line each.
    """

    files: tuple[Path, ...]
    notices: tuple[str, ...] = ()


def image_folder(folder: Path) -> ImageFolder:
    """The pictures of a folder; hidden files are left out.

    Numbers in names compare by their value: ``frame2`` before ``frame10``, and ``name`` before
    ``name (1)``. ``1714555800.25`` may be one decimal number or two counters. It is a decimal
    number unless the digits after the point can only be a counter: they differ in length and one
    of them ends in 0, which a decimal number without trailing zeros never does.

    Raises:
        VideoError: a file that is missing behind a link, empty, or not a picture; the first such
            file is named, and how many there are.
    """
    shown = [p for p in folder.iterdir() if not p.name.startswith(".") and not p.is_dir()]
    files = [path for path in shown if path.suffix.lower() in PICTURE_SUFFIXES]
    others = [path for path in shown if path.suffix.lower() in _OTHER_PICTURES]
    damaged = []
    for path in sorted(files):
        try:
            check_picture(path)
        except FrameError as error:
            damaged.append(str(error))
    if damaged:
        more = f" ({len(damaged)} such files in this folder)" if len(damaged) > 1 else ""
        raise VideoError(damaged[0] + more)
    notices = []
    if others:
        suffixes = ", ".join(sorted({path.suffix.lower() for path in others}))
        notices.append(f"{folder}: {counted(len(others), 'picture')} left out ({suffixes})")
    counters = sorted(files, key=_key(_WHOLE, int))
    decimals = sorted(files, key=_key(_DECIMAL, float))
    if counters == decimals:
        return ImageFolder(tuple(counters), tuple(notices))
    taken, name, other = (
        (counters, "counters", "decimal numbers")
        if _are_counters(files)
        else (decimals, "decimal numbers", "counters")
    )
    notices.append(
        f"{folder}: numbers with a point in file names are read as {name}, not as {other}; the "
        f"first images are {', '.join(path.name for path in taken[:3])}"
    )
    return ImageFolder(tuple(taken), tuple(notices))


def image_files(folder: Path) -> list[Path]:
    """The files of :func:`image_folder`."""
    return list(image_folder(folder).files)


def _key(
    number: re.Pattern[str], value: Callable[[str], float]
) -> Callable[[Path], tuple[list[tuple[float, str]], str]]:
    """Sort key of a name without its suffix, its numbers by value."""

    def key(path: Path) -> tuple[list[tuple[float, str]], str]:
        parts = number.split(path.stem.lower())
        # Odd places hold the numbers. The name itself decides between ``a1`` and ``a01``.
        by_value = [(value(p), "") if i % 2 else (-1.0, p) for i, p in enumerate(parts)]
        return by_value, path.name

    return key


def _are_counters(files: Sequence[Path]) -> bool:
    """Whether digits after a point can only be counters."""
    after = [
        text.partition(".")[2]
        for path in files
        for text in _DECIMAL.findall(path.stem)
        if "." in text
    ]
    return len({len(digits) for digits in after}) > 1 and any(
        len(d) > 1 and d.endswith("0") for d in after
    )
