"""A data set that fits in memory, decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .base import LabelledImage, Reader

#: Images that are decoded before their size is added up.
_AT_ONCE = 64


class Preloaded(Reader):
    """A reader whose images are all in memory; workers forked afterwards share them."""

    def __init__(self, reader: Reader, images: dict[tuple[int, int], LabelledImage]) -> None:
        self.root, self.frame_step = reader.root, reader.frame_step
        self._reader, self._images = reader, images

    def __len__(self) -> int:
        return len(self._reader)

    def name(self, sequence: int) -> str:
        return self._reader.name(sequence)

    def frames(self, sequence: int) -> int:
        return self._reader.frames(sequence)

    @property
    def annotated(self) -> Sequence[int]:
        return self._reader.annotated

    def similar(self, image: LabelledImage, value: int) -> Sequence[int]:
        return self._reader.similar(image, value)

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        return self._images[sequence, frame]


def preload(reader: Reader, max_bytes: int) -> tuple[Reader, int]:
    """Decode a whole data set by several threads, if it fits.

    Nothing is kept of a set that does not fit: random draws would find little in a part of it.

    Returns:
        The reader to use, and the bytes it holds: the given one and 0 if the set is too large.

    Raises:
        DatasetError: a damaged file.
    """
    places = [(i, frame) for i in range(len(reader)) for frame in range(reader.frames(i))]
    # The first image tells whether it is worth a try.
    if reader.read(*places[0]).nbytes * len(places) > 2 * max_bytes:
        return reader, 0
    images: dict[tuple[int, int], LabelledImage] = {}
    used_bytes = 0
    with ThreadPoolExecutor() as pool:
        for at in range(0, len(places), _AT_ONCE):
            part = places[at : at + _AT_ONCE]
            decoded = list(pool.map(lambda place: reader.read(*place), part))
            images.update(zip(part, decoded, strict=True))
            used_bytes += sum(image.nbytes for image in decoded)
            if used_bytes > max_bytes:
                return reader, 0
    return Preloaded(reader, images), used_bytes
