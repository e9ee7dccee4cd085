"""Metadata of an ONNX file, read without the onnx package, which robots need not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Field numbers of onnx.proto: ModelProto.metadata_props, and StringStringEntryProto's two.
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2

# Kinds of fields in the protobuf encoding.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(path: Path) -> dict[str, str]:
    """All key-value pairs.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a protobuf message.
    """
    entries = [
        dict(_fields(message))
        for number, message in _fields(memoryview(path.read_bytes()))
        if number == _METADATA_PROPS
    ]
    return {
        bytes(entry.get(_KEY, b"")).decode(): bytes(entry.get(_VALUE, b"")).decode()
        for entry in entries
    }


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of every field that holds bytes; the others are skipped."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("truncated")
            yield tag >> 3, data[position : position + length]
            position += length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"no protobuf: field of kind {kind}")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Value and the position after it."""
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("no protobuf: truncated number")
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
