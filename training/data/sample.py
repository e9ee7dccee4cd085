"""One training sample, whatever it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from siampolar_model.geometry.box import Box
from siampolar_model.geometry.crops import template_window
from siampolar_model.images.frame import Frame
from siampolar_model.images.resample import cut_array
from siampolar_model.network.config import NetworkConfig

from .augment.border import outside, paint
from .labels import make_labels, no_target
from .photometry import PhotometrySettings, jitter_pair


class PairSource(Protocol):
    """Where pairs come from."""

    def sample(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One pair, see :func:`make_sample`; a pure function of the generator's state."""


def make_sample(
    network: NetworkConfig,
    template: np.ndarray,
    box_xyxy: np.ndarray,
    template_mask: np.ndarray,
    search: np.ndarray,
    mask: np.ndarray,
) -> dict[str, np.ndarray]:
    """Crops and their targets.

    Args:
        template: uint8 (T, T, 3), BGR.
        box_xyxy: float32 (4,), the target in the template crop.
        template_mask: uint8 (T, T), 1 on the target in the template crop.
        search: uint8 (S, S, 3), BGR.
        mask: uint8 (S, S), 1 where the target is visible in the search crop; empty: not there.

    Returns:
        ``template``, ``box_xyxy``, ``template_mask``, ``search``, ``mask`` and the arrays of
        :class:`siampolar_training.data.labels.Labels`.
    """
    head = network.head
    targets = make_labels(mask, head, network.stride) if mask.any() else no_target(head.rays)
    return {
        "template": template,
        "box_xyxy": box_xyxy,
        "template_mask": template_mask,
        "search": search,
        "mask": mask,
        **vars(targets),
    }


@dataclass(frozen=True, eq=False)
class Crop:
    """A view before its light and colour change.

    Attributes:
        image: uint8 (S, S, 3), BGR.
        beyond: bool (S, S), True beyond the border of the camera's image.
    """

    image: np.ndarray
    beyond: np.ndarray


@dataclass(frozen=True, eq=False)
class Template:
    """A template before its light and colour change.

    Attributes:
        crop: of T x T pixels.
        box_xyxy: float32 (4,), the target's box in the crop.
        mask: uint8 (T, T), 1 on the target.
    """

    crop: Crop
    box_xyxy: np.ndarray
    mask: np.ndarray


def cut_template(
    rng: np.random.Generator,
    image: np.ndarray,
    mask: np.ndarray,
    box: Box,
    jitter: float,
    mirror: bool,
    size: int,
) -> Template:
    """Cut a template as the tracker does, about a box drawn by a hand that is not exact.

    Args:
        image: uint8 (H, W, 3), BGR.
        mask: uint8 (H, W), 255 on the object.
        box: the object's, in image pixels.
        jitter: centre and sides move by up to this share of the sides.
        mirror: mirror the image first.
    """
    height, width = image.shape[:2]
    if mirror:
        image, mask = cv2.flip(image, 1), cv2.flip(mask, 1)
        box = Box(width - box.x2, box.y1, width - box.x1, box.y2)
    shift_x, shift_y, log_width, log_height = rng.uniform(-jitter, jitter, 4)
    cx, cy = box.center_xy
    drawn = Box.from_center(
        cx + shift_x * box.width,
        cy + shift_y * box.height,
        box.width * float(np.exp(log_width)),
        box.height * float(np.exp(log_height)),
    )
    window = template_window(drawn, size)
    crop = Crop(Frame.from_bgr(image).cut(window), outside(window, width, height))
    inside = (cut_array(mask, window, border=(0.0,)) >= 128).astype(np.uint8)
    return Template(crop, window.box_to_crop(drawn).as_xyxy(), inside)


def finish(
    rng: np.random.Generator,
    network: NetworkConfig,
    photometry: PhotometrySettings,
    template: Template,
    search: Crop,
    mask: np.ndarray,
) -> dict[str, np.ndarray]:
    """Change light and colour, paint the camera's border, and make the targets."""
    images = jitter_pair(rng, template.crop.image, search.image, photometry)
    template_image, search_image = (
        paint(image, crop.beyond)
        for image, crop in zip(images, (template.crop, search), strict=True)
    )
    return make_sample(
        network, template_image, template.box_xyxy, template.mask, search_image, mask
    )
