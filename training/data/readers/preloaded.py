"""A data set that fits in memory, decoded once."""

from __future__ import annotations

from collections.abc import Sequence

from .base import LabelledImage, Reader


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
    """Decode a whole data set, if it fits: of a part, random draws would find little.

    Returns:
        The reader to use, and the bytes it holds: the given one and 0 if the set is too large.

    Raises:
        DatasetError: a damaged file.
    """
    places = [(i, frame) for i in range(len(reader)) for frame in range(reader.frames(i))]
    # The first image tells whether it is worth a try.
    if reader.read(*places[0]).nbytes * len(places) > 2 * max_bytes:
        return reader, 0
    images, used_bytes = {}, 0
    for place in places:
        images[place] = reader.read(*place)
        used_bytes += images[place].nbytes
        if used_bytes > max_bytes:
            return reader, 0
    return Preloaded(reader, images), used_bytes
