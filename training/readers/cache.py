"""Decoded images kept for reuse, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from .base import LabelledImage, Reader


class ImageCache:
    """Least recently used images go first; readers may share one cache."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._images: OrderedDict[tuple[int, int, int], LabelledImage] = OrderedDict()

    def read(self, key: int, reader: Reader, sequence: int, frame: int) -> LabelledImage:
        place = (key, sequence, frame)
        image = self._images.pop(place, None)
        if image is None:
            image = reader.read(sequence, frame)
            self.used_bytes += image.nbytes
        self._images[place] = image
        while self.used_bytes > self.max_bytes and self._images:
            self.used_bytes -= self._images.popitem(last=False)[1].nbytes
        return image


class CachedReader(Reader):
    """A reader whose images are looked up in a cache first."""

    def __init__(self, reader: Reader, cache: ImageCache, key: int) -> None:
        self.root, self.frame_step = reader.root, reader.frame_step
        self._reader, self._cache, self._key = reader, cache, key

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
        return self._cache.read(self._key, self._reader, sequence, frame)

    def preload(self) -> bool:
        """Read everything, if it fits; workers forked afterwards share it.

        Returns:
            Whether it did; the size is judged by the first image.
        """
        total = sum(self.frames(i) for i in range(len(self)))
        free_bytes = self._cache.max_bytes - self._cache.used_bytes
        if self.read(0).nbytes * total > free_bytes:
            return False
        for sequence in range(len(self)):
            for frame in range(self.frames(sequence)):
                self.read(sequence, frame)
        return True
