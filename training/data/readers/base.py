"""What every data set looks like: sequences of images with one mask per object.

A photograph is a sequence of one image. Readers list files when they are made and decode only
what is asked for, so a set of 100,000 images costs a list of names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One decoded image.

    Attributes:
        name: unique within its reader, such as ``bear/00012``.
        sequence: index of its sequence in the reader.
        image: uint8 (H, W, 3), BGR.
        labels: uint8 or uint16 (H, W), 0 background and one value per object; None if the image
            is not annotated. An object keeps its value through a sequence.
        objects: the values that stand in ``labels``, ascending.
        categories: the class of an object where the data set has classes.
    """

    name: str
    sequence: int
    image: np.ndarray
    labels: np.ndarray | None = None
    objects: tuple[int, ...] = ()
    categories: Mapping[int, str] = field(default_factory=dict)

    def mask(self, value: int) -> np.ndarray:
        """uint8 (H, W), 255 on the object and 0 elsewhere."""
        if self.labels is None:
            return np.zeros(self.image.shape[:2], np.uint8)
        return np.where(self.labels == value, np.uint8(255), np.uint8(0))

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + (0 if self.labels is None else self.labels.nbytes)


class Reader(ABC):
    """A data set.

    Attributes:
        root: the folder it lies in, for messages.
        frame_step: frames of the video from one annotated frame to the next.
        kind: name in a training's configuration of a reader of this folder that is made from the
            set's folder alone; empty for all others (entry points name those of other packages).
    """

    kind: ClassVar[str] = ""
    root: Path
    frame_step: int = 1

    @abstractmethod
    def __len__(self) -> int:
        """Number of sequences."""

    @abstractmethod
    def name(self, sequence: int) -> str:
        """The name of a sequence."""

    def frames(self, sequence: int) -> int:
        """Number of frames of a sequence."""
        return 1

    @abstractmethod
    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        """Decode one frame. Several threads may call this at the same time.

        Raises:
            DatasetError: a damaged file; it names the file.
        """

    @property
    def annotated(self) -> Sequence[int]:
        """The sequences that may show objects; the others serve as backgrounds."""
        return range(len(self))

    def similar(self, image: LabelledImage, value: int) -> Sequence[int]:
        """Sequences with objects of (most likely) the same class as one object; may be empty."""
        return ()
