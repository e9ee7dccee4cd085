"""Synthetic pairs: two views of one photograph, as a template and a search crop.

Every sample is a pure function of (seed, index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.crops import context_side, template_window
from siampolar_model.frames import BORDER_BGR, Frame
from siampolar_model.network.config import NetworkConfig
from siampolar_model.results import Box

from . import photometric
from .photos import DataError, Photo
from .targets import make_targets, no_target

#: Instances so far apart in the list count as near.
NEAR = 8


@dataclass(frozen=True)
class PairSettings:
    """How far two views differ. Lengths are in units of the search crop's side."""

    shift_sigma: float = 0.1
    log_scale: float = 0.35
    rotation_sigma_rad: float = 0.2
    shear: float = 0.12
    log_aspect: float = 0.12
    warp: float = 0.5
    warp_sigma: float = 0.018
    background: float = 0.33
    distractor: float = 0.33
    occluder: float = 0.33
    negative: float = 0.22
    #: Of the negative pairs, those whose search crop is a background, not another object.
    empty: float = 0.4
    #: Of other objects, those taken from photographs with a near name: often of one class.
    alike: float = 0.4
    box_jitter: float = 0.04
    #: Least visible part of a target under its occluders.
    min_visible: float = 0.55


@dataclass(frozen=True, eq=False)
class _View:
    """An instance seen in a search crop: image (S, S, 3), soft mask (S, S) in [0, 1]."""

    image: np.ndarray
    alpha: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True, eq=False)
class Instance:
    """One annotated object; ``points_xy`` float64 (M, 2) are some of its pixel centres."""

    photo: Photo
    value: int
    box: Box
    points_xy: np.ndarray

    @classmethod
    def of(cls, photo: Photo, value: int) -> Instance:
        assert photo.labels is not None
        ys, xs = np.nonzero(photo.labels == value)
        box = Box(float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
        step = max(len(xs) // 400, 1)
        return cls(photo, value, box, np.stack([xs[::step], ys[::step]], 1) + 0.5)

    @property
    def mask(self) -> np.ndarray:
        """uint8 (H, W), 255 on the object."""
        assert self.photo.labels is not None
        return (self.photo.labels == self.value).astype(np.uint8) * 255


class SyntheticPairs:
    """Map-style data set of training pairs.

    Args:
        photos: photographs; those without instances serve as backgrounds only.

    Raises:
        DataError: instances on fewer than two photographs, so that no negative pair exists.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        network: NetworkConfig,
        *,
        length: int,
        seed: int,
        settings: PairSettings = PairSettings(),
    ) -> None:
        self._photos = photos
        self._instances = [Instance.of(photo, v) for photo in photos for v in photo.instances]
        if len({instance.photo.name for instance in self._instances}) < 2:
            raise DataError(
                f"{len(photos)} photographs, fewer than two of them with instances; "
                "pairs need at least two"
            )
        self._index = {id(instance): i for i, instance in enumerate(self._instances)}
        self._network = network
        self._length = length
        self._seed = seed
        self._settings = settings

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """One pair.

        Returns:
            ``template`` uint8 (T, T, 3) and ``search`` uint8 (S, S, 3) in BGR, ``box_xyxy``
            float32 (4,) in the template crop, ``mask`` uint8 (S, S), 1 where the target is visible
            in the search crop, and the arrays of :class:`Targets`.
        """
        rng = np.random.default_rng([self._seed, index])
        target = self._pick(rng)
        mirror = rng.random() < 0.5
        if rng.random() >= self._settings.negative:
            search, mask = self._search_view(rng, target, target, mirror)
        elif rng.random() >= self._settings.empty:
            other = self._other(rng, target, target)
            search, mask = self._search_view(rng, other, target, mirror)
            mask = np.zeros_like(mask)
        else:
            search, mask = self._empty_view(rng, target)
        template, box = self._template_view(rng, target, mirror)
        template, search = photometric.jitter_pair(rng, template, search)
        head = self._network.head
        targets = (
            make_targets(mask, head.rays, self._network.stride)
            if mask.any()
            else no_target(head.rays)
        )
        crops = {"template": template, "search": search, "box_xyxy": box, "mask": mask}
        return {**crops, **vars(targets)}

    def _other(self, rng: np.random.Generator, shown: Instance, target: Instance) -> Instance:
        """An instance of another photograph than the target's, often one like what is shown."""
        near = rng.random() < self._settings.alike
        while True:
            if near:
                at = self._index[id(shown)] + int(rng.integers(-NEAR, NEAR + 1))
                other = self._instances[at % len(self._instances)]
                near = rng.random() < 0.9  # all near ones may be of the target's photograph
            else:
                other = self._pick(rng)
            if other.photo is not target.photo:
                return other

    def _empty_view(
        self, rng: np.random.Generator, target: Instance
    ) -> tuple[np.ndarray, np.ndarray]:
        """A search crop (S, S, 3) without the target, and an empty mask (S, S)."""
        image = self._background(rng, besides=target.photo)
        mask = np.zeros(image.shape[:2], np.uint8)
        for _ in range(int(rng.integers(0, 3))):
            image, mask = self._paste(rng, self._other(rng, target, target), image, mask, False)
        return image, mask

    def _pick(self, rng: np.random.Generator) -> Instance:
        return self._instances[rng.integers(len(self._instances))]

    def _template_view(
        self, rng: np.random.Generator, target: Instance, mirror: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        image, tight = target.photo.image, target.box
        if mirror:
            width = image.shape[1]
            image = np.ascontiguousarray(image[:, ::-1])
            tight = Box(width - tight.x2, tight.y1, width - tight.x1, tight.y2)
        jitter = rng.uniform(-1, 1, 4) * self._settings.box_jitter
        cx, cy = tight.center_xy
        box = Box.from_center(
            cx + jitter[0] * tight.width,
            cy + jitter[1] * tight.height,
            tight.width * float(np.exp(jitter[2])),
            tight.height * float(np.exp(jitter[3])),
        )
        window = template_window(box, self._network.template_size)
        crop = Frame.from_bgr(image).cut(window)
        inside = window.box_to_crop(box)
        return crop, inside.as_xyxy()

    def _search_view(
        self, rng: np.random.Generator, shown: Instance, target: Instance, mirror: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """A search crop uint8 (S, S, 3) about what is shown, and the mask (S, S) of its visible
        part; nothing of the target's photograph is added."""
        s, size = self._settings, self._network.search_size
        shift = np.clip(rng.normal(0, s.shift_sigma, 2), -0.35, 0.35) * size
        scale = float(np.exp(rng.uniform(-s.log_scale, s.log_scale)))
        view = self._render(rng, shown, mirror, scale, size / 2 + shift)
        alpha, image = view.alpha, view.image
        # The edge of a photograph would tell where the object is: where it fills little of the
        # crop, exchange it more often.
        exchange = s.background if view.covered.mean() > 0.6 else 2 * s.background
        if rng.random() < exchange:
            alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.6, 1.4))
            image = _blend(self._background(rng, besides=target.photo), image, alpha)
        elif rng.random() < 0.6:
            # Outside the photograph there is something in a real video, not a flat colour.
            image = _blend(self._background(rng, besides=target.photo), image, view.covered)
        mask = (view.alpha >= 0.5).astype(np.uint8)
        for chance, in_front in ((s.distractor, False), (s.occluder, True)):
            if rng.random() < chance:
                for _ in range(int(rng.integers(1, 3))):
                    other = self._other(rng, shown, target)
                    image, mask = self._paste(rng, other, image, mask, in_front)
        return image, mask

    def _paste(
        self,
        rng: np.random.Generator,
        instance: Instance,
        image: np.ndarray,
        mask: np.ndarray,
        in_front: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add another instance behind or in front of the target."""
        size = self._network.search_size
        scale = float(np.exp(rng.uniform(-0.7, 0.25)))
        at_xy = rng.uniform(0.02, 0.98, 2) * size
        other = self._render(rng, instance, bool(rng.random() < 0.5), scale, at_xy)
        alpha = other.alpha
        if in_front:
            left = mask * (alpha < 0.5)
            if left.sum() >= self._settings.min_visible * mask.sum():
                return _blend(image, other.image, alpha), left.astype(np.uint8)
        return _blend(image, other.image, alpha * (1 - mask)), mask

    def _render(
        self,
        rng: np.random.Generator,
        instance: Instance,
        mirror: bool,
        scale: float,
        at_xy: np.ndarray,
    ) -> _View:
        """Draw an instance at nominal size times ``scale`` with its middle at ``at_xy``."""
        s, network = self._settings, self._network
        linear = _random_linear(rng, s, mirror)
        seen = instance.points_xy @ linear.T
        low, high = seen.min(0), seen.max(0)
        side = network.search_factor * context_side(*np.maximum(high - low, 2.0))
        zoom = scale * network.search_size / side
        inverse = np.linalg.inv(linear * zoom)
        middle = np.linalg.solve(linear, (low + high) / 2)
        source = _destination_grid(network.search_size) - at_xy.astype(np.float32)
        if rng.random() < s.warp:
            coarse = rng.normal(0, s.warp_sigma * network.search_size, (5, 5, 2))
            source = source + cv2.resize(
                coarse.astype(np.float32),
                (network.search_size,) * 2,
                interpolation=cv2.INTER_CUBIC,
            )
        source = source @ inverse.T.astype(np.float32) + middle.astype(np.float32)
        return _sample(instance.photo.image, instance.mask, source, zoom)

    def _background(self, rng: np.random.Generator, besides: Photo) -> np.ndarray:
        """A random part of a random photograph other than ``besides``, uint8 (S, S, 3)."""
        while (photo := self._photos[int(rng.integers(len(self._photos)))]) is besides:
            pass
        image = photo.image
        h, w = image.shape[:2]
        side = int(min(h, w) * rng.uniform(0.5, 1.0))
        y, x = rng.integers(h - side + 1), rng.integers(w - side + 1)
        size = self._network.search_size
        part = cv2.resize(image[y : y + side, x : x + side], (size, size))
        return part[:, ::-1] if rng.random() < 0.5 else part


def _random_linear(rng: np.random.Generator, s: PairSettings, mirror: bool) -> np.ndarray:
    """Rotation, shear, aspect and mirroring, without a change of area."""
    angle = rng.normal(0, s.rotation_sigma_rad)
    cos, sin = np.cos(angle), np.sin(angle)
    aspect = np.exp(rng.uniform(-s.log_aspect, s.log_aspect) / 2)
    shear = rng.uniform(-s.shear, s.shear)
    linear: np.ndarray = (
        np.array([[cos, -sin], [sin, cos]])
        @ np.array([[1, shear], [0, 1]])
        @ np.diag([aspect, 1 / aspect])
    )
    return linear @ np.diag([-1.0, 1.0]) if mirror else linear


def _destination_grid(size: int) -> np.ndarray:
    at = np.arange(size, dtype=np.float32) + 0.5
    return np.stack(np.meshgrid(at, at), -1)


def _sample(image: np.ndarray, mask: np.ndarray, source_xy: np.ndarray, zoom: float) -> _View:
    """Look up continuous photograph coordinates (S, S, 2)."""
    if zoom < 0.5:  # shrink by area first, or thin parts alias
        factor = 2.0 ** np.floor(-np.log2(zoom))
        h, w = image.shape[:2]
        small = max(round(w / factor), 1), max(round(h / factor), 1)
        source_xy = source_xy * np.array([small[0] / w, small[1] / h], np.float32)
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    h, w = image.shape[:2]
    x = np.ascontiguousarray(source_xy[..., 0] - 0.5)
    y = np.ascontiguousarray(source_xy[..., 1] - 0.5)
    seen = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderValue=BORDER_BGR)
    alpha = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderValue=0).astype(np.float32) / 255
    covered = ((x >= 0) & (y >= 0) & (x <= w - 1) & (y <= h - 1)).astype(np.float32)
    return _View(seen, alpha, covered)


def _blend(under: np.ndarray, over: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``alpha * over + (1 - alpha) * under``, uint8."""
    weight = alpha[..., None]
    return (over * weight + under * (1 - weight) + 0.5).astype(np.uint8)
