"""Crops for fitting an INT8 network, cut from annotated photographs as the tracker cuts them.

The largest object of each photograph gives a template crop and a search crop. The window of the
search crop is shifted and scaled as if the object had moved since the last image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engines.base import Prior
from ..errors import DatasetError
from ..evaluation.metrics import mask_box
from ..evaluation.pictures import VOID, has_void, read_image, read_labels
from ..geometry.box import Box
from ..geometry.crops import search_window, template_window
from ..images.frame import Frame
from ..images.picture import PICTURE_SUFFIXES
from ..models.spec import ModelSpec
from ..tracking.settings import TrackerSettings

#: Layout of a folder of photographs. In the PNG files 0 is background, other values are objects.
LAYOUT = "JPEGImages/NAME/00000.jpg and Annotations/NAME/00000.png"

# How an object has "moved" in its search crop: standard deviation of its distance from the middle,
# as a fraction of the template window's side, and the largest natural logarithm of its change of
# size.
_SHIFT, _LOG_SCALE = 0.1, 0.35

# The crop of a smaller object would be mostly interpolation.
_MIN_SIDE_PX = 24


@dataclass(frozen=True, eq=False)
class CropPair:
    """One object, as input of the template graph and of the search graph.

    Attributes:
        template: uint8 (T, T, 3), BGR.
        box_xyxy: float32 (4,), the object in the template crop.
        search: uint8 (S, S, 3), BGR.
        prior: float32 (6,), the values of a :class:`siampolar_model.engines.base.Prior`.
    """

    template: np.ndarray
    box_xyxy: np.ndarray
    search: np.ndarray
    prior: np.ndarray


def crop_pairs(folder: str | Path, spec: ModelSpec, count: int) -> Iterator[CropPair]:
    """Pairs from ``count`` photographs, evenly spread over the folder, the same on every call.

    Photographs whose object is smaller than 24 px are left out.

    Raises:
        DatasetError: fewer than ``count`` annotated photographs, or a damaged one.
    """
    folder = Path(folder)
    masks = sorted((folder / "Annotations").glob("**/*.png"))
    if len(masks) < count:
        raise DatasetError(
            f"{folder}: {len(masks)} annotated photographs, {count} are needed; expected {LAYOUT}"
        )
    rng = np.random.default_rng(0)
    for index in np.linspace(0, len(masks) - 1, count).round().astype(int):
        path = masks[index]
        image, box = _read(folder, path)
        if min(box.width, box.height) < _MIN_SIDE_PX:
            continue
        yield _pair(Frame.from_bgr(image), box, spec, rng)


def _read(folder: Path, mask_path: Path) -> tuple[np.ndarray, Box]:
    """A photograph and the box of its largest object."""
    image_path = folder / "JPEGImages" / mask_path.relative_to(folder / "Annotations")
    named = (image_path.with_suffix(suffix) for suffix in PICTURE_SUFFIXES)
    image_path = next((path for path in named if path.is_file()), image_path.with_suffix(".jpg"))
    try:
        image, labels = read_image(image_path), read_labels(mask_path)
    except DatasetError as error:
        raise DatasetError(f"{error}; expected {LAYOUT}") from None
    values, sizes = np.unique(labels[labels > 0], return_counts=True)
    if has_void(values.tolist()):
        values, sizes = values[values != VOID], sizes[values != VOID]
    box = mask_box(labels == values[sizes.argmax()]) if len(values) else None
    if box is None or image.shape[:2] != labels.shape:
        raise DatasetError(f"{mask_path}: no object, or not of the size of {image_path}")
    return image, box


def _pair(frame: Frame, box: Box, spec: ModelSpec, rng: np.random.Generator) -> CropPair:
    around = template_window(box, spec.template_size)
    scale = math.exp(rng.uniform(-_LOG_SCALE, _LOG_SCALE))
    x, y = np.array(box.center_xy) + rng.normal(0, _SHIFT * around.side, 2)
    width, height = box.width * scale, box.height * scale
    window = search_window((x, y), width, height, spec.search_factor, spec.search_size)
    settings, middle = TrackerSettings(), spec.search_size / 2
    prior = Prior(
        window_weight=settings.window_weight,
        scale_penalty=settings.scale_penalty,
        width=width * window.scale,
        height=height * window.scale,
        center_x=middle,
        center_y=middle,
    )
    return CropPair(
        template=frame.cut(around),
        box_xyxy=around.box_to_crop(box).as_xyxy(),
        search=frame.cut(window),
        prior=np.array(prior, np.float32),
    )
