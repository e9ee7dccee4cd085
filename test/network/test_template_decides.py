"""The template, and nothing else, decides which of two objects is found.

Objects and backgrounds come from photographs that were held out of training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("timm")
pytest.importorskip("onnxruntime")

from siampolar_model.engines.loading import load_engine
from siampolar_model.geometry.box import Box
from siampolar_model.geometry.crops import context_side, template_window
from siampolar_model.images.frame import Frame
from siampolar_training.clips.moving import clip_photographs
from siampolar_training.data.instances import Instance, instances_of
from siampolar_training.data.readers.base import LabelledImage
from siampolar_training.data.readers.photos import Photos

PAIRS = 200


def shrunk(instance: Instance, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The object alone: image uint8 (h, w, 3) and alpha float32 (h, w)."""
    box = instance.box
    rows, columns = slice(int(box.y1), int(box.y2)), slice(int(box.x1), int(box.x2))
    size = (max(round(box.width * scale), 2), max(round(box.height * scale), 2))
    image = cv2.resize(instance.source.image[rows, columns], size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(instance.mask[rows, columns], size, interpolation=cv2.INTER_AREA)
    return image, mask.astype(np.float32) / 255


@pytest.mark.slow
def test_each_template_finds_its_own_object(shared_data: Callable[[str], Path]) -> None:
    photos = clip_photographs(Photos(shared_data("photos"), validation=True))
    engine = load_engine("siampolar_lite0")
    size = engine.spec.search_size
    rng = np.random.default_rng(0)
    instances = [instance for photo in photos for instance in instances_of(photo)]
    # Neutral: no window, no memory of a size, so that only the template speaks.
    prior = np.array([[0, 0, 75, 75, size / 2, size / 2]], np.float32)
    right = []
    while len(right) < PAIRS:
        pair = [instances[i] for i in rng.permutation(len(instances))[:2]]
        if pair[0].source is pair[1].source:
            continue
        crop, places = compose(rng, photos, pair, engine.spec.search_factor, size)
        if crop is None:
            continue
        for slot, instance in enumerate(pair):
            window = template_window(instance.box, engine.spec.template_size)
            template = Frame.from_bgr(instance.source.image).cut(window)
            engine.encode(slot, template, window.box_to_crop(instance.box).as_xyxy())
        on_own = []
        for slot in (0, 1):
            found = engine.search([slot], crop[None], prior)
            box = Box(*map(float, found.box_xyxy[0, 0]))
            on_own.append(box.iou(places[slot]) > max(0.3, box.iou(places[1 - slot])))
        right.append(all(on_own))
    share = float(np.mean(right))
    print(f"each template on its own object in {share:.1%} of {len(right)} pairs")
    assert share >= 0.9


def compose(
    rng: np.random.Generator,
    photos: list[LabelledImage],
    pair: list[Instance],
    factor: float,
    size: int,
) -> tuple[np.ndarray | None, list[Box]]:
    """Two objects side by side on a part of a third photograph; None if they do not fit."""
    background = photos[int(rng.integers(len(photos)))].image
    crop = cv2.resize(background, (size, size)).astype(np.float32)
    places = []
    left_first = rng.random() < 0.5
    for i, instance in enumerate(pair):
        box = instance.box
        nominal = size / (factor * context_side(box.width, box.height))
        image, alpha = shrunk(instance, nominal * rng.uniform(0.8, 1.15))
        h, w = alpha.shape
        half = size // 2
        if w > half - 4 or h > size - 8:
            return None, []
        x = int(rng.integers(2, half - w - 1)) + (0 if (i == 0) == left_first else half)
        y = int(rng.integers(4, size - h - 3))
        part = crop[y : y + h, x : x + w]
        part[...] = image * alpha[..., None] + part * (1 - alpha[..., None])
        places.append(Box(x, y, x + w, y + h))
    return crop.astype(np.uint8), places
