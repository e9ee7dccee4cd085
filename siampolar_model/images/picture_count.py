"""How many pictures a file holds, counted without decoding them.

Decoders give the first page of a TIFF file or the first picture of an animation without a word
about the others.
"""

from __future__ import annotations

import struct

_SUBFILE_TYPE = 254  # bits: 0 a smaller copy, 2 a transparency mask

_NOT_A_PAGE = 0b101

# More pages than any file has; a damaged chain of directories may have no end.
_MAX_PAGES = 100_000


def picture_count(data: bytes) -> int:
    """Pages of a TIFF file, or pictures of an animated PNG or WebP file; 1 for all others.

    Smaller copies and transparency masks within a TIFF file are not pages.

    Args:
        data: bytes of a whole file. What is damaged is not counted.
    """
    if data.startswith(b"\x89PNG"):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return max(1, _webp(data))
    if data.startswith((b"II", b"MM")):
        return max(1, _tiff(data))
    return 1


def _png(data: bytes) -> int:
    """The frame count of the chunk acTL, which stands before the first picture."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            return max(1, int.from_bytes(data[at + 8 : at + 12], "big"))
        if kind == b"IDAT":
            break
        at += 12 + length
    return 1


def _webp(data: bytes) -> int:
    """The number of chunks ANMF."""
    at, count = 12, 0
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        count += data[at : at + 4] == b"ANMF"
        at += 8 + length + length % 2
    return count


def _tiff(data: bytes) -> int:
    """The directories of TIFF or BigTIFF that are pages."""
    order = "<" if data[:2] == b"II" else ">"
    count = 0
    seen: set[int] = set()
    try:
        big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
        entries, place, step = ("Q", "Q", 20) if big else ("H", "I", 12)
        (at,) = struct.unpack_from(f"{order}{place}", data, 8 if big else 4)
        while at and at not in seen and len(seen) < _MAX_PAGES:
            seen.add(at)
            (n_entries,) = struct.unpack_from(f"{order}{entries}", data, at)
            first = at + struct.calcsize(entries)
            next_at = first + n_entries * step
            is_page = True
            for entry in range(first, min(next_at, len(data)), step):
                if struct.unpack_from(f"{order}H", data, entry)[0] == _SUBFILE_TYPE:
                    (kind,) = struct.unpack_from(f"{order}I", data, entry + (12 if big else 8))
                    is_page = not kind & _NOT_A_PAGE
            count += is_page
            (at,) = struct.unpack_from(f"{order}{place}", data, next_at)
    except struct.error:
        pass
    return count
