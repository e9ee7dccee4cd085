"""Objects drawn at random from a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.errors import DatasetError
from siampolar_model.geometry.box import Box

from .readers.base import LabelledImage, Reader

#: Objects of a smaller area (square pixels) teach nothing: enlarged, they are a blur.
MIN_AREA_PX = 16 * 16

_TRIES = 200


@dataclass(frozen=True, eq=False)
class Instance:
    """One object on one image.

    Attributes:
        mask: uint8 (H, W), 255 on the object.
        box: around the mask.
        hull_xy: float64 (M, 2), corners of its convex hull, for extents after a linear map.
    """

    source: LabelledImage
    value: int
    mask: np.ndarray
    box: Box
    hull_xy: np.ndarray

    @classmethod
    def of(cls, source: LabelledImage, value: int) -> Instance | None:
        """None if the object is too small."""
        mask = source.mask(value)
        if cv2.countNonZero(mask) < MIN_AREA_PX:
            return None
        x, y, width, height = cv2.boundingRect(mask)
        inside = mask[y : y + height, x : x + width]
        contours = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        hull = cv2.convexHull(np.concatenate(contours))[:, 0] + (x + 0.5, y + 0.5)
        return cls(source, value, mask, Box.from_xywh(x, y, width, height), hull)


def large_objects(image: LabelledImage) -> list[int]:
    """The objects on an image that are large enough, by their values."""
    if image.labels is None:
        return []
    area_px = np.bincount(image.labels.ravel())
    return [value for value in image.objects if area_px[value] >= MIN_AREA_PX]


def instances_of(image: LabelledImage) -> list[Instance]:
    """All objects on an image that are large enough."""
    found = (Instance.of(image, value) for value in large_objects(image))
    return [instance for instance in found if instance is not None]


class Pool:
    """Draws objects and backgrounds from a data set.

    Every image is as likely as any other, and so is every object on it.

    Raises:
        DatasetError: objects in fewer than two sequences, so that no negative pair exists.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._annotated = reader.annotated
        if len(self._annotated) < 2:
            raise DatasetError(
                f"{reader.root}: {len(self._annotated)} of {len(reader)} sequences or photographs "
                "with objects; pairs need at least two"
            )

    def instance(self, rng: np.random.Generator) -> Instance:
        return self._need(self._draw(rng, self._annotated))

    def other(
        self, rng: np.random.Generator, shown: Instance, target: Instance, *, similar: bool
    ) -> Instance:
        """An object of another sequence than the target's.

        Args:
            similar: most likely of the class of what is shown, where the data set knows any.
        """
        found = None
        if similar:
            among = self._reader.similar(shown.source, shown.value)
            category = shown.source.categories.get(shown.value)
            # Few tries: all of them may be the target's.
            found = self._draw(rng, among, target, category, tries=6)
        return found or self._need(self._draw(rng, self._annotated, target))

    def background(self, rng: np.random.Generator, besides: Instance) -> np.ndarray:
        """An image of another sequence, uint8 (H, W, 3)."""
        while (sequence := int(rng.integers(len(self._reader)))) == besides.source.sequence:
            pass
        return self._read(rng, sequence).image

    def _read(self, rng: np.random.Generator, sequence: int) -> LabelledImage:
        return self._reader.read(sequence, int(rng.integers(self._reader.frames(sequence))))

    def _draw(
        self,
        rng: np.random.Generator,
        among: Sequence[int],
        besides: Instance | None = None,
        category: str | None = None,
        tries: int = _TRIES,
    ) -> Instance | None:
        for _ in range(tries if len(among) else 0):
            sequence = int(among[int(rng.integers(len(among)))])
            if besides is not None and sequence == besides.source.sequence:
                continue
            image = self._read(rng, sequence)
            values = [v for v in image.objects if category in (None, image.categories.get(v))]
            if not values:
                continue
            instance = Instance.of(image, values[int(rng.integers(len(values)))])
            if instance is not None:
                return instance
        return None

    def _need(self, found: Instance | None) -> Instance:
        if found is None:
            raise DatasetError(
                f"{self._reader.root}: no object of {MIN_AREA_PX} px or more in {_TRIES} draws"
            )
        return found
