"""Synthetic pairs: two views of one photograph, as a template and a search crop."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from siampolar_model.geometry.box import Box
from siampolar_model.geometry.crops import context_side
from siampolar_model.network.config import NetworkConfig
from siampolar_model.settings import check_settings, setting

from . import compound_targets as compound
from .augment import compose, motion, occluder
from .augment.border import border
from .augment.sharpness import motion_blur
from .augment.view import View, look_up
from .instances import Instance, Pool
from .photometry import PhotometrySettings
from .readers.base import Reader
from .sample import Crop, Template, cut_template, finish

#: Surroundings of a template, in units of its window's side.
_MARGIN = 1.6

#: Spread of occluders about the target, in units of the search crop's side.
_NEAR = 0.15

#: How far from a target its own background is kept, and over how much another one takes its place,
#: in units of the crop's side.
_REACH, _RAMP = (0.01, 0.12), (0.02, 0.12)


@dataclass(frozen=True)
class SyntheticSettings:
    """How far two views differ. Lengths are in units of the search crop's side."""

    shift_sigma: float = setting(0.1, 0, 1, help="Spread of the target's place about the middle.")
    log_scale: float = setting(
        0.35, 0, 1,
        help="The target is up to e^+-log_scale times as large as it should be.",
    )  # fmt: skip
    rotation_sigma_rad: float = setting(0.2, 0, 1, help="Spread of the rotation, rad.")
    shear: float = setting(0.12, 0, 1, help="Strength of the shear.")
    log_aspect: float = setting(0.12, 0, 1, help="Strength of the change of aspect ratio.")
    turned: float = setting(0.2, 0, 1, help="Chance that only one of the two views is mirrored.")
    template: float = setting(
        0.5, 0, 1,
        help="Chance that the template, too, is a changed view, not the photograph as it is.",
    )  # fmt: skip
    tilt: float = setting(0.3, 0, 1, help="Chance of perspective.")
    tilt_sigma: float = setting(0.1, 0, 1, help="Strength of perspective.")
    bend: float = setting(0.5, 0, 1, help="Chance of non-rigid motion.")
    bend_sigma: float = setting(0.018, 0, 1, help="Strength of non-rigid motion.")
    joined: float = setting(
        0.4, 0, 1,
        help="Chance that an object of the same photograph that touches the target becomes a "
        "part of it.",
    )  # fmt: skip
    companion: float = setting(
        0.1, 0, 1,
        help="Chance that an object of another photograph is put next to the target and becomes "
        "a part of it.",
    )  # fmt: skip
    whole: float = setting(
        0.6, 0, 1,
        help="Chance that the search view is the photograph as it is, whose edge is the "
        "camera's; in proportion to how much of the crop the photograph covers.",
    )  # fmt: skip
    background: float = setting(
        0.33, 0, 1,
        help="Otherwise: chance of another background if the photograph covers the whole crop. "
        "The less it covers, the nearer to 1; if 0, never.",
    )  # fmt: skip
    cut_out: float = setting(
        0.25, 0, 1,
        help="Share of the targets on another background that are cut out along their masks; the "
        "others keep some of their surroundings.",
    )  # fmt: skip
    distractor: float = setting(
        0.33, 0, 1,
        help="Chance of other objects behind the target: one or two in the search crop, one in a "
        "changed template.",
    )  # fmt: skip
    recolour: float = setting(
        0.25, 0, 1,
        help="Share of the distractors that take on the target's mean colour.",
    )  # fmt: skip
    occluder: float = setting(
        0.25, 0, 1,
        help="Chance of one or two other objects in front of the target.",
    )  # fmt: skip
    clutter: float = setting(0.1, 0, 1, help="Chance of a beam or foliage in front of the target.")
    similar: float = setting(
        0.4, 0, 1,
        help="Share of the other objects that are most likely of the same class.",
    )  # fmt: skip
    border: float = setting(
        0.15, 0, 1,
        help="Chance of a border of the camera's image; half of the borders cut the target.",
    )  # fmt: skip
    swift: float = setting(
        0.15, 0, 1,
        help="Share of the targets that are cut out that are blurred by their own motion.",
    )  # fmt: skip
    negative: float = setting(0.22, 0, 1, help="Chance that the target is not in the search crop.")
    empty: float = setting(
        0.4, 0, 1,
        help="Share of those crops whose middle no other object takes.",
    )  # fmt: skip
    box_jitter: float = setting(
        0.04, 0, 1,
        help="Error of the template's box, in units of its sides.",
    )  # fmt: skip
    min_visible: float = setting(
        0.55, 0, 1,
        help="Smallest share of the target's part in the crop that cover and border leave "
        "visible.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class _Canvas:
    """A square view of ``size`` pixels, ``factor`` times the side of an object's template window
    when the object has its nominal size."""

    size: int
    factor: float


class SyntheticPairs:
    """Pairs from single images of a data set.

    Raises:
        DatasetError: objects in fewer than two sequences, so that no negative pair exists.
    """

    def __init__(
        self,
        reader: Reader,
        network: NetworkConfig,
        settings: SyntheticSettings,
        photometry: PhotometrySettings,
    ) -> None:
        self._pool = Pool(reader)
        self._network = network
        self._settings = settings
        self._photometry = photometry
        self._search = _Canvas(network.search_size, network.search_factor)
        # The template is cut from this: its window and a margin for a box that is not exact.
        self._surroundings = _Canvas(round(_MARGIN * network.template_size), _MARGIN)

    def sample(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One pair, see :func:`siampolar_training.data.sample.make_sample`."""
        s, network = self._settings, self._network
        target = self._target(rng)
        mirror = bool(rng.random() < 0.5)
        if rng.random() >= s.negative:
            search, mask = self._search_view(rng, target, target, mirror)
        else:
            if rng.random() < s.empty:
                search, mask = self._empty_view(rng, target)
            else:
                similar = bool(rng.random() < s.similar)
                other = self._pool.other(rng, target, target, similar=similar)
                search, mask = self._search_view(rng, other, target, mirror)
            mask = np.zeros_like(mask)
        seen_mirrored = mirror != bool(rng.random() < s.turned)
        template = self._template(rng, target, seen_mirrored)
        return finish(rng, network, self._photometry, template, search, mask)

    def _target(self, rng: np.random.Generator) -> Instance:
        target = self._pool.instance(rng)
        if rng.random() < self._settings.joined:
            target = compound.with_neighbour(rng, target)
        if rng.random() < self._settings.companion:
            other = self._pool.other(rng, target, target, similar=False)
            target = compound.with_companion(rng, target, other)
        return target

    def _template(self, rng: np.random.Generator, target: Instance, mirror: bool) -> Template:
        s, canvas = self._settings, self._surroundings
        image, mask, box = target.source.image, target.mask, target.box
        if rng.random() < s.template:
            middle = np.full(2, canvas.size / 2)
            view = self._render(rng, canvas, target, False, 1.0, middle)
            changed, alpha = self._on_background(rng, view, target)
            seen = (alpha >= 0.5).astype(np.uint8)
            if rng.random() < s.distractor:
                changed = self._add_distractor(rng, canvas, changed, seen, target, target)
            if seen.any():  # what is thin may be blurred away
                image, mask, box = changed, seen * 255, Box.from_xywh(*cv2.boundingRect(seen))
        size = self._network.template_size
        return cut_template(rng, image, mask, box, s.box_jitter, mirror, size)

    def _search_view(
        self, rng: np.random.Generator, shown: Instance, target: Instance, mirror: bool
    ) -> tuple[Crop, np.ndarray]:
        """A search crop about what is shown, and the mask (S, S) of its visible part; nothing else
        of the target's photograph is added."""
        s, canvas = self._settings, self._search
        size = canvas.size
        shift = np.clip(rng.normal(0, s.shift_sigma, 2), -0.35, 0.35) * size
        scale = float(np.exp(rng.uniform(-s.log_scale, s.log_scale)))
        view = self._render(rng, canvas, shown, mirror, scale, size / 2 + shift)
        image, alpha, beyond = view.image, view.alpha, ~view.covered
        if rng.random() >= s.whole * view.covered.mean():
            image, alpha = self._on_background(rng, view, target)
            beyond = np.zeros_like(beyond)
        mask = (alpha >= 0.5).astype(np.uint8)
        least_px = s.min_visible * cv2.countNonZero(mask)
        if rng.random() < s.distractor:
            for _ in range(int(rng.integers(1, 3))):
                image = self._add_distractor(rng, canvas, image, mask, shown, target)
        if rng.random() < s.occluder:
            for _ in range(int(rng.integers(1, 3))):
                other = self._other_view(rng, canvas, shown, target, _near(rng, mask))
                image, mask = _cover(image, mask, other.image, other.alpha, least_px)
        if rng.random() < s.clutter:
            kind = occluder.bar if rng.random() < 0.5 else occluder.foliage
            cover = compose.soften(kind(rng, size, _near(rng, mask)), rng.uniform(0.5, 2.0))
            image, mask = _cover(image, mask, self._background(rng, size, target), cover, least_px)
        return self._bordered(rng, image, mask, least_px, beyond)

    def _empty_view(self, rng: np.random.Generator, target: Instance) -> tuple[Crop, np.ndarray]:
        """A search crop of other things, and an empty mask (S, S)."""
        image = self._background(rng, self._search.size, target)
        nothing = np.zeros(image.shape[:2], np.uint8)
        for _ in range(int(rng.integers(0, 3))):
            image = self._add_distractor(rng, self._search, image, nothing, target, target)
        return self._bordered(rng, image, nothing, 0, np.zeros(nothing.shape, bool))

    def _bordered(
        self,
        rng: np.random.Generator,
        image: np.ndarray,
        mask: np.ndarray,
        least_px: float,
        beyond: np.ndarray,
    ) -> tuple[Crop, np.ndarray]:
        """The crop, sometimes with one more border of the camera's image, and what borders leave of
        a mask."""
        if rng.random() < self._settings.border:
            beyond = beyond | border(rng, mask, least_px)
            mask = mask * ~beyond
        return Crop(image, beyond), mask

    def _on_background(
        self, rng: np.random.Generator, view: View, target: Instance
    ) -> tuple[np.ndarray, np.ndarray]:
        """The view on its own background or another one, and the object's alpha."""
        s = self._settings
        canvas_px = view.image.shape[0]
        # The edge of a photograph would tell where the object is: the less of the crop it fills,
        # the more often it is exchanged.
        exchange = 1 - (1 - s.background) * view.covered.mean() if s.background else 0.0
        image, alpha = view.image, view.alpha
        exchanged = rng.random() < exchange
        if exchanged and rng.random() < s.cut_out:
            soft = compose.soften(alpha, rng.uniform(0.6, 1.4))
            if rng.random() < s.swift:
                length, angle = int(rng.integers(4, 14)), rng.uniform(0, np.pi)
                soft = motion_blur(soft, length, angle)
                image = motion_blur(image, length, angle)
                alpha = soft
            return compose.blend(self._background(rng, canvas_px, target), image, soft), alpha
        if not exchanged and view.covered.all():
            return image, alpha
        # The edge of a turned photograph is not a border of a camera's image, so it is made soft.
        kept = compose.soften(view.covered.astype(np.float32), rng.uniform(0.7, 4.0))
        if exchanged:
            reach, ramp = rng.uniform(*_REACH) * canvas_px, rng.uniform(*_RAMP) * canvas_px
            kept = np.minimum(kept, compose.with_surroundings(alpha, reach, ramp))
        return compose.blend(self._background(rng, canvas_px, target), image, kept), alpha

    def _add_distractor(
        self,
        rng: np.random.Generator,
        canvas: _Canvas,
        image: np.ndarray,
        mask: np.ndarray,
        shown: Instance,
        target: Instance,
    ) -> np.ndarray:
        at_xy = rng.uniform(0.02, 0.98, 2) * canvas.size
        other = self._other_view(rng, canvas, shown, target, at_xy)
        drawn = other.image
        if rng.random() < self._settings.recolour:
            colour = compose.mean_colour(target.source.image, target.mask)
            drawn = compose.in_colours_of(drawn, other.alpha, colour)
        return compose.put_behind(image, mask, drawn, other.alpha)

    def _other_view(
        self,
        rng: np.random.Generator,
        canvas: _Canvas,
        shown: Instance,
        target: Instance,
        at_xy: np.ndarray,
    ) -> View:
        """Another object in the same view."""
        similar = bool(rng.random() < self._settings.similar)
        other = self._pool.other(rng, shown, target, similar=similar)
        scale = float(np.exp(rng.uniform(-0.7, 0.25)))
        return self._render(rng, canvas, other, bool(rng.random() < 0.5), scale, at_xy)

    def _render(
        self,
        rng: np.random.Generator,
        canvas: _Canvas,
        instance: Instance,
        mirror: bool,
        scale: float,
        at_xy: np.ndarray,
    ) -> View:
        """Draw an instance at nominal size times ``scale`` with its middle at ``at_xy``."""
        s, size = self._settings, canvas.size
        linear = motion.affine(rng, s.rotation_sigma_rad, s.shear, s.log_aspect)
        if mirror:
            linear = linear @ np.diag([-1.0, 1.0])
        seen = instance.hull_xy @ linear.T
        low, high = seen.min(0), seen.max(0)
        side = canvas.factor * context_side(*np.maximum(high - low, 2.0))
        middle = np.linalg.solve(linear, (low + high) / 2)
        placement = motion.Placement(at_xy, middle, linear, scale * size / side)
        tilt = motion.perspective(rng, s.tilt_sigma) if rng.random() < s.tilt else None
        field = motion.bend(rng, size, s.bend_sigma * size) if rng.random() < s.bend else None
        grid = motion.source_grid(placement, size, tilt, field)
        return look_up(instance.source.image, instance.mask, grid)

    def _background(self, rng: np.random.Generator, size: int, besides: Instance) -> np.ndarray:
        return compose.background_part(rng, self._pool.background(rng, besides), size)


def _cover(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, alpha: np.ndarray, least_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Put something in front, or behind if it would hide too much."""
    covered = compose.put_in_front(image, mask, other, alpha, least_px)
    if covered is None:
        return compose.put_behind(image, mask, other, alpha), mask
    return covered


def _near(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """A point (x, y) on or about what a mask shows; anywhere if that is nothing."""
    x, y, width, height = cv2.boundingRect(mask)
    size = mask.shape[0]
    if not width:
        return rng.uniform(0, size, 2)
    return np.array([x + width / 2, y + height / 2]) + rng.normal(0, _NEAR * size, 2)
