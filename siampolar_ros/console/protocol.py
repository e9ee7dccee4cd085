"""What a browser and the console tell each other; knows neither ROS nor the server.

Texts are JSON objects with a ``type``. A picture is binary: four bytes (little-endian) with the
length of a JSON object, that object, and a JPEG. Stamps are decimal texts, because JavaScript's
numbers cannot hold nanoseconds.
"""

from __future__ import annotations

import json
import math
import reprlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from siampolar_model.errors import SiampolarError

#: Longest text of a browser, in characters.
MAX_TEXT = 32_768
#: Most corners of a lasso.
MAX_CORNERS = 512
_MAX_ID = 2**32 - 1
_MAX_STAMP_NS = (2**31 - 1) * 1_000_000_000

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlist = _SHORT.maxdict = 3


class ProtocolError(SiampolarError, ValueError):
    """A text of a browser that is not allowed; the message is one line and names what is."""


@dataclass(frozen=True)
class Watch:
    """Which camera a browser shows, empty: none; without ``pictures`` only states and figures."""

    camera: str
    pictures: bool


@dataclass(frozen=True)
class Shown:
    """A picture has been drawn, so the next one may be sent."""

    stamp_ns: int


@dataclass(frozen=True)
class Start:
    """Start a target, or with an ``id`` above 0 start that one again.

    Attributes:
        request: number that comes back with the answer.
        stamp_ns: of the picture that was drawn on.
        size: width and height of that image, in pixels.
        shape: ``box``, ``polygon`` or ``point``.
        values: pixels of that image: x, y, width, height; x0, y0, x1, y1, ...; or x, y.
    """

    request: int
    camera: str
    id: int
    stamp_ns: int
    size: tuple[int, int]
    shape: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Remove:
    """Stop following a target; ``id`` 0: all of them."""

    request: int
    camera: str
    id: int


@dataclass(frozen=True)
class Answer:
    """What came of a Start or Remove, in words."""

    ok: bool
    id: int
    text: str


Message = Watch | Shown | Start | Remove


def parse(text: str) -> Message:
    """Read a text of a browser.

    Raises:
        ProtocolError: anything that is not allowed.
    """
    if len(text) > MAX_TEXT:
        raise ProtocolError(f"a text of {len(text)} characters; at most {MAX_TEXT} are allowed")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"{_SHORT.repr(text)} is not JSON") from None
    if not isinstance(content, dict):
        raise ProtocolError(f"{_SHORT.repr(content)} is not an object with a type")
    kind = content.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise ProtocolError(f"type is {_SHORT.repr(kind)}; allowed are {', '.join(_READERS)}")
    return reader(content)


def picture(header: Mapping[str, Any], jpeg: bytes) -> bytes:
    """A picture with what belongs to it, as it is sent."""
    about = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<I", len(about)) + about + jpeg


def answer(request: int, result: Answer) -> dict[str, Any]:
    """The text that answers a Start or Remove."""
    return {"type": "answer", "request": request, **asdict(result)}


def refused(error: ProtocolError) -> dict[str, Any]:
    """The text that answers what cannot be read."""
    return {"type": "refused", "text": str(error)}


# ---- fields ----------------------------------------------------------------------------------


def _watch(content: dict[str, Any]) -> Watch:
    pictures = content.get("pictures", True)
    if not isinstance(pictures, bool):
        raise ProtocolError(f"pictures is {_SHORT.repr(pictures)}; it must be true or false")
    return Watch(_text(content, "camera"), pictures)


def _shown(content: dict[str, Any]) -> Shown:
    return Shown(_stamp(content))


def _start(content: dict[str, Any]) -> Start:
    shape = content.get("shape")
    counts = {"box": (4, 4), "polygon": (6, 2 * MAX_CORNERS), "point": (2, 2)}
    if not isinstance(shape, str) or shape not in counts:
        raise ProtocolError(f"shape is {_SHORT.repr(shape)}; allowed are {', '.join(counts)}")
    least, most = counts[shape]
    values = content.get("values")
    if not isinstance(values, list) or not least <= len(values) <= most or len(values) % 2:
        count = str(least) if least == most else f"{least} to {most}, an even number,"
        raise ProtocolError(f"values is {_SHORT.repr(values)}; a {shape} has {count} numbers")
    size = content.get("size")
    if not isinstance(size, list) or len(size) != 2:
        raise ProtocolError(f"size is {_SHORT.repr(size)}; it must be width and height")
    width, height = (_whole("size", value, 1, 65_535) for value in size)
    return Start(
        _request(content), _text(content, "camera"), _id(content), _stamp(content),
        (width, height), shape, tuple(_number("values", value) for value in values),
    )  # fmt: skip


def _remove(content: dict[str, Any]) -> Remove:
    return Remove(_request(content), _text(content, "camera"), _id(content))


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "watch": _watch, "shown": _shown, "start": _start, "remove": _remove,
}  # fmt: skip


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or len(value) > 256:
        raise ProtocolError(f"{name} is {_SHORT.repr(value)}; it must be a short text")
    return value


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ProtocolError(
            f"{name} is {_SHORT.repr(value)}; it must be a whole number from {low} to {high}"
        )
    return value


def _number(name: str, value: Any) -> float:
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not whole or not abs(value) <= 1e6 or not math.isfinite(value):
        raise ProtocolError(f"{name} holds {_SHORT.repr(value)}; it must be a number up to 1e6")
    return float(value)


def _id(content: dict[str, Any]) -> int:
    return _whole("id", content.get("id"), 0, _MAX_ID)


def _request(content: dict[str, Any]) -> int:
    return _whole("request", content.get("request"), 0, _MAX_ID)


def _stamp(content: dict[str, Any]) -> int:
    value = str(content.get("stamp"))
    if len(value) > 19 or not (value.isascii() and value.isdigit()) or int(value) > _MAX_STAMP_NS:
        raise ProtocolError(f"stamp is {_SHORT.repr(value)}; it must be nanoseconds")
    return int(value)
