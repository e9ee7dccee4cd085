"""The size that a picture file gives for itself, read without decoding it."""

from __future__ import annotations

import re
import struct

from ..errors import FrameError
from .compressed import read_header

_NETPBM = re.compile(rb"P[2356](?:\s|#[^\n]*\n)+(\d{1,10})(?:\s|#[^\n]*\n)+(\d{1,10})")

_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257

# Bytes of a TIFF value by its type: BYTE, SHORT, LONG and BigTIFF's LONG8.
_TIFF_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height by the header of a file; (0, 0) where it cannot be told.

    Args:
        data: bytes of a whole file. A damaged header is for the decoder to refuse.
    """
    start = data[:4096]
    try:
        if start.startswith((b"\x89PNG", b"\xff\xd8\xff")):
            header = read_header(data)
            return header.width, header.height
        if start.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", start, 18)
            return abs(width), abs(height)  # rows from the top have a negative height
        if found := _NETPBM.match(start):
            return int(found[1]), int(found[2])
        if start.startswith(b"RIFF"):
            return _webp(start)
        if start.startswith((b"II", b"MM")):
            return _tiff(data)
    except (FrameError, struct.error):
        pass
    return 0, 0


def _webp(start: bytes) -> tuple[int, int]:
    """The first chunk of WebP: extended, lossless or lossy."""
    kind = start[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", start, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> tuple[int, int]:
    """Width and height in the first directory of TIFF or BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    (at,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, at)
    at += 8 if big else 2
    step = 20 if big else 12
    found = {_TIFF_WIDTH: 0, _TIFF_HEIGHT: 0}
    for entry in range(at, min(at + count * step, len(data)), step):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in found and kind in _TIFF_FORMATS:
            place = entry + (12 if big else 8)
            (found[tag],) = struct.unpack_from(f"{order}{_TIFF_FORMATS[kind]}", data, place)
    return found[_TIFF_WIDTH], found[_TIFF_HEIGHT]
