"""A data set for training: PNG files whose alpha channel is the mask of one object."""

from pathlib import Path

import cv2
import numpy as np

from siampolar_model.errors import DatasetError
from siampolar_training.data.readers.base import LabelledImage, Reader
from siampolar_training.data.readers.decode import labelled


class Cutouts(Reader):
    """All PNG files of one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = sorted(root.glob("*.png"))
        if not self._files:
            raise DatasetError(f"{root}: no PNG files")

    def __len__(self) -> int:
        return len(self._files)

    def name(self, sequence: int) -> str:
        return self._files[sequence].stem

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        path = self._files[sequence]
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise DatasetError(f"{path}: not a readable PNG with an alpha channel")
        labels = (pixels[..., 3] > 127).astype(np.uint8)
        return labelled(path.stem, sequence, np.ascontiguousarray(pixels[..., :3]), labels, path)
