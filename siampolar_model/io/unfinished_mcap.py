"""MCAP files that a killed recorder left without their end."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"\x89MCAP0\r\n"

#: A footer that names no summary, so that a reader goes through all records.
_END = b"\x02" + struct.pack("<QQQI", 20, 0, 0, 0) + _MAGIC

#: An operation code and the length of what follows it.
_RECORD = struct.Struct("<BQ")


class UnfinishedMcap:
    """An MCAP file as rosbags opens one, with the end that it lacks.

    Attributes:
        cut: bytes after the last whole record, which are left out.
    """

    suffix = ".mcap"

    def __init__(self, path: Path, end: int) -> None:
        self._path, self._end = path, end
        self.cut = path.stat().st_size - end

    @classmethod
    def of(cls, path: Path) -> UnfinishedMcap | None:
        """The file of this path if its end is missing; None for every other file.

        Raises:
            OSError: it cannot be read.
        """
        if path.suffix != cls.suffix or not path.is_file():
            return None
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(_MAGIC)))
            finished = size > len(_MAGIC) and file.read() == _MAGIC
            file.seek(0)
            if finished or file.read(len(_MAGIC)) != _MAGIC:
                return None
            end = len(_MAGIC)
            while end + _RECORD.size <= size:
                _, length = _RECORD.unpack(file.read(_RECORD.size))
                if end + _RECORD.size + length > size:
                    break
                end = file.seek(end + _RECORD.size + length)
        return cls(path, end)

    def exists(self) -> bool:
        return True

    def is_dir(self) -> bool:
        return False

    def open(self, mode: str = "rb") -> BinaryIO:
        return io.BufferedReader(_Completed(self._path, self._end))

    def __str__(self) -> str:
        return str(self._path)


class _Completed(io.RawIOBase):
    """The beginning of a file, followed by the end of an MCAP file."""

    def __init__(self, path: Path, end: int) -> None:
        self._file = path.open("rb")
        self._end, self._at = end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = self._end + len(_END)
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def,override]
        if self._at < self._end:
            self._file.seek(self._at)
            data = self._file.read(min(len(buffer), self._end - self._at))
        else:
            data = _END[self._at - self._end :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
