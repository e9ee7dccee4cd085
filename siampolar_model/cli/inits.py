"""What targets start from: on the first frame, on later ones, corrections, a first mask."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BoxError, CommandError, DatasetError, TargetLimitError
from ..geometry.box import Box, parse_box
from ..geometry.region import Mask, Outline, Point, Region, as_region
from ..tracking.settings import TrackerSettings
from ..tracking.start_rules import check_start

#: Ways to point at an object, and what each must be.
_KINDS: dict[str, tuple[type[Region], str]] = {
    "box": (Box, "four numbers [x, y, width, height]"),
    "point": (Point, "two numbers [x, y]"),
    "polygon": (Outline, "points [[x, y], ...], at least three"),
}

#: A file of inits is typed by hand or written by a program for one video.
_MAX_BYTES = 16_000_000


@dataclass(frozen=True, eq=False)
class Init:
    """An object that is pointed at on a frame.

    Attributes:
        frame: index of the frame; None: the first frame read.
        region: in pixels of that frame.
        id: the target to start again, or the id of a new one; None: a new target, the next id.
        source: where it was given, for messages.
    """

    frame: int | None
    region: Region
    id: int | None
    source: str


def init_of_option(text: str) -> Init:
    """``--box x,y,w,h``: a new target on the first frame.

    Raises:
        BoxError: see :func:`siampolar_model.geometry.box.parse_box`.
    """
    return Init(None, parse_box(text), None, f"--box {text}")


def inits_of_mask(path: Path, image_size: tuple[int, int]) -> list[Init]:
    """A mask for the first frame: a new target for each of its labels, in their order.

    Args:
        path: index or grey image, see :func:`siampolar_model.evaluation.pictures.read_labels`.
        image_size: width and height of the frame.

    Raises:
        CommandError: it cannot be read, is of another size, or is empty.
    """
    from ..evaluation.pictures import VOID, has_void, read_labels

    try:
        labels = read_labels(path)
    except DatasetError as error:
        raise CommandError(f"--mask {error}") from None
    size = labels.shape[1], labels.shape[0]
    if size != image_size:
        raise CommandError(
            f"--mask {path}: is {size[0]}x{size[1]} px; the frames are "
            f"{image_size[0]}x{image_size[1]}"
        )
    objects = [int(one) for one in np.unique(labels) if one]
    if has_void(objects):
        objects.remove(VOID)
    inits = []
    for number in objects:
        inits.append(Init(None, Mask(labels == number), None, f"--mask {path}, label {number}"))
    if not inits:
        raise CommandError(f"--mask {path}: is empty; it must be above 0 on the object")
    return inits


def read_inits(path: Path) -> list[Init]:
    """A JSON list of ``{"frame": 40, "box": [x, y, w, h], "id": 1}``, ``id`` being optional.

    Instead of ``box`` also ``"point": [x, y]`` or ``"polygon": [[x, y], ...]``.

    Raises:
        OSError: the file cannot be read.
        CommandError: not such a list; the first entry that is wrong is named.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise CommandError(f"{path}: has more than {_MAX_BYTES // 1_000_000} MB")
    try:
        entries = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: not JSON ({error})") from None
    if not isinstance(entries, list) or not entries:
        raise CommandError(
            f'{path}: must be a list such as [{{"frame": 40, "box": [9, 9, 50, 60]}}]'
        )
    return [_init(entry, f"{path}, entry {place}") for place, entry in enumerate(entries, 1)]


def _init(entry: Any, source: str) -> Init:
    kinds = [key for key in _KINDS if isinstance(entry, dict) and key in entry]
    if len(kinds) != 1 or not {"frame", *kinds} <= entry.keys() <= {"frame", "id", *kinds}:
        raise CommandError(
            f"{source}: must have frame and one of {', '.join(_KINDS)}, may have id, and nothing "
            "else"
        )
    (kind,) = kinds
    frame, id = entry["frame"], entry.get("id")
    if not _is_whole(frame, 0):
        raise CommandError(f"{source}: frame {frame!r} must be a whole number, 0 or more")
    if id is not None and not _is_whole(id, 1):
        raise CommandError(f"{source}: id {id!r} must be a whole number, 1 or more")
    return Init(frame, _region(kind, entry[kind], source), id, source)


def _region(kind: str, value: Any, source: str) -> Region:
    cls, needed = _KINDS[kind]
    try:
        region = as_region(value) if _is_of_numbers(value) else None
    except BoxError as error:
        if kind == "box":
            raise CommandError(f"{source}: {error}") from None
        region = None
    if not isinstance(region, cls):
        raise CommandError(f"{source}: {kind} {value!r} must be {needed}")
    return region


def _is_of_numbers(value: Any) -> bool:
    """Whether a value is a list of numbers, or of lists of numbers."""
    if not isinstance(value, list):
        return False
    parts = [part for one in value for part in (one if isinstance(one, list) else [one])]
    return all(type(part) in (int, float) for part in parts)


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 1 << 31


def check_inits(
    inits: Iterable[Init],
    image_size: tuple[int, int],
    first: int,
    end: int | None,
    settings: TrackerSettings,
) -> list[Init]:
    """The inits in the order in which they start, checked as the tracker will check them.

    Args:
        image_size: width and height of every frame.
        first, end: index of the first frame, and the index after the last one; None: unknown.

    Raises:
        CommandError: a region that no target can start from, too many targets, or a frame that is
            not among those read.
    """
    ordered = sorted(inits, key=lambda init: first if init.frame is None else init.frame)
    followed: set[int] = set()
    for init in ordered:
        frame = first if init.frame is None else init.frame
        if frame < first or (end is not None and frame >= end):
            frames = f"from {first} on" if end is None else f"{first} to {end - 1}"
            raise CommandError(f"{init.source}: frame {frame} is not read; read are {frames}")
        try:
            check_start(init.region, image_size, init.id, followed, settings)
        except (BoxError, TargetLimitError) as error:
            raise CommandError(f"{init.source}: {error}") from None
        followed.add(init.id or max(followed, default=0) + 1)
    return ordered
