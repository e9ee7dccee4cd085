"""Draws where a model fails, for its card:  python3 scripts/draw_failures.py MODEL OUT.jpg

From the free photographs of scikit-image that draw_augmentations.py uses: the frames of DAVIS, on
which the scores of the cards were taken, may not be passed on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from draw_augmentations import FreePhotos

from siampolar_model.evaluation.metrics import mask_box, region_similarity
from siampolar_model.rendering.draw import draw
from siampolar_model.tracking.tracker import Tracker
from siampolar_training.data.augment.compose import blend, soften

#: Objects of draw_augmentations.FreePhotos, by number.
_COFFEE, _HORSE, _ASTRONAUT = 0, 1, 2
_TILE_PX, _QUALITY = 300, 82
#: Rows and columns of the photographs that are shown, and their middle.
_PART, _MIDDLE = slice(160, 740), (450.0, 450.0)

Scene = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A target on one image and what follows.

    Attributes:
        change: image (H, W, 3) and mask (H, W) of the first image to those of the second.
    """

    name: str
    photograph: int
    change: Callable[[np.ndarray, np.ndarray], Scene]


def _same(image: np.ndarray, mask: np.ndarray) -> Scene:
    return image, mask


def _warped(matrix: np.ndarray) -> Callable[[np.ndarray, np.ndarray], Scene]:
    def change(image: np.ndarray, mask: np.ndarray) -> Scene:
        size = image.shape[1], image.shape[0]
        return (
            cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101),
            cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST),
        )

    return change


def _next_to_a_twin(image: np.ndarray, mask: np.ndarray) -> Scene:
    """The same object again, above left, while most of the target is hidden."""
    alpha = soften(mask.astype(np.float32), 0.8)
    by = np.float32([[1, 0, -170], [0, 1, -120]])
    size = image.shape[1], image.shape[0]
    out = blend(image, cv2.warpAffine(image, by, size), cv2.warpAffine(alpha, by, size))
    x, y, width, height = cv2.boundingRect(mask)
    hidden = slice(y + height // 4, y + height), slice(x - 5, x + width + 5)
    out[hidden] = image[20 : 20 + height - height // 4, 20 : 30 + width]
    left = mask.copy()
    left[hidden] = 0
    return out, left


def _cases() -> tuple[Case, ...]:
    return (
        Case("thin legs", _HORSE, _same),
        Case("upside down", _ASTRONAUT, _warped(cv2.getRotationMatrix2D(_MIDDLE, 180, 1))),
        Case("twice as large", _COFFEE, _warped(cv2.getRotationMatrix2D(_MIDDLE, 0, 2))),
        Case("hidden next to a twin", _COFFEE, _next_to_a_twin),
    )


def _tile(tracker: Tracker, case: Case, photos: FreePhotos) -> np.ndarray:
    """The second image with the result (coloured) and the truth (white)."""
    photo = photos.read(case.photograph)
    mask = (photo.labels > 0).astype(np.uint8)
    box = mask_box(mask)
    assert box is not None
    tracker.reset()
    tracker.start(photo.image, box)
    tracker.update(photo.image)
    image, truth = case.change(photo.image, mask)
    (result,) = tracker.update(image)
    found = result.mask(*truth.shape).view(np.uint8)
    seen = draw(image.copy(), [result])
    outline, _ = cv2.findContours(truth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(seen, outline, -1, (255, 255, 255), 1)
    part = seen[_PART, _PART]
    tile = cv2.resize(part, (_TILE_PX,) * 2, interpolation=cv2.INTER_AREA)
    text = f"{case.name}: IoU {100 * region_similarity(truth, found):.0f} %"
    label = np.full((28, _TILE_PX, 3), 255, np.uint8)
    cv2.putText(label, text, (4, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([label, tile])


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    tracker = Tracker.from_pretrained(sys.argv[1], engine="onnxruntime", precision="fp32")
    photos = FreePhotos()
    picture = np.hstack([_tile(tracker, case, photos) for case in _cases()])
    path = Path(sys.argv[2])
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
        print(f"error: {path} cannot be written", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
