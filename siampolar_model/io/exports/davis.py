"""Index PNGs as DAVIS has them: a folder of ``00000.png``, one value per target."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ...errors import VideoError
from ...rendering.label_image import label_image
from .base import FrameResult

#: Most targets of an index image; 255 means "not annotated" in DAVIS.
_MAX_TARGETS = 254


class DavisMasks:
    """One index image for each frame, named by the frame's index.

    Targets get the values 1, 2, ... in the order of their ids; a value stays with its target. Lost
    targets are background.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path
        self._folder.mkdir()
        self._values: dict[int, int] = {}
        self._palette = _palette()

    def write(self, frame: FrameResult) -> None:
        """Raises VideoError if there are more than 254 targets in a video."""
        for target in sorted(frame.targets, key=lambda target: target.id):
            self._values.setdefault(target.id, len(self._values) + 1)
        if len(self._values) > _MAX_TARGETS:
            raise VideoError(
                f"{self._folder.name}: {len(self._values)} targets; index images hold "
                f"{_MAX_TARGETS} at most"
            )
        labels = label_image(frame.targets, frame.height, frame.width)
        values = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
        for id, value in self._values.items():
            if id < len(values):
                values[id] = value
        path = self._folder / f"{frame.index:05d}.png"
        path.write_bytes(encode_index_png(values[labels], self._palette))

    def close(self) -> None:
        """Nothing is open between frames."""


def encode_index_png(index: np.ndarray, palette: np.ndarray) -> bytes:
    """A PNG file whose pixels are indices.

    Args:
        index: uint8 (H, W).
        palette: uint8 (256, 4), alpha, red, green, blue.
    """
    height, width = index.shape
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "pal8"
    encoder.time_base = Fraction(1, 1)
    pixels: Any = (index, palette)  # PyAV's stubs do not know of palettes
    frame = av.VideoFrame.from_ndarray(pixels, format="pal8")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _palette() -> np.ndarray:
    """The colours of PASCAL VOC, which DAVIS uses: the bits of a value, three at a time."""
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 0] = 255
    for value in range(256):
        for bit in range(8):
            for channel in range(3):
                palette[value, 1 + channel] |= ((value >> (3 * bit + channel)) & 1) << (7 - bit)
    return palette
