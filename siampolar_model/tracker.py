"""Follows targets from image to image: where to look, what to believe, when to give up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import polar
from .crops import CropWindow, search_window, template_window
from .engines.base import PRIOR_COLUMNS, Candidates, Engine, ModelSpec
from .frames import Frame, FrameError
from .pretrained import load_engine
from .ranges import check_ranges
from .results import Box, TrackResult, TrackState, validate_init_box


class TargetLimitError(ValueError):
    """There are already as many targets as the settings allow."""


#: Allowed range of every tracker setting, both ends included.
SETTING_RANGES: dict[str, tuple[float, float]] = {
    "window_weight": (0.0, 1.0),
    "scale_penalty": (0.0, 2.0),
    "size_smoothing": (0.05, 1.0),
    "tracking_score": (0.0, 1.0),
    "lost_score": (0.0, 1.0),
    "recover_frames": (1, 100),
    "lost_frames": (1, 1000),
    "max_search_growth": (1.0, 4.0),
    "min_box_px": (1.0, 1000.0),
    "max_targets": (1, 256),
}


@dataclass(frozen=True)
class TrackerSettings:
    """How a tracker chooses and believes. Ranges stand in :data:`SETTING_RANGES`.

    Attributes:
        window_weight: how much nearness to the last place counts against the score.
        scale_penalty: how strongly a change of size or aspect counts against a candidate.
        size_smoothing: share of a new size that a score of 1 lets through at once.
        tracking_score: raw score from which a target is being tracked.
        lost_score: raw score below which the target is not believed to be where it was found.
        recover_frames: images in a row at ``tracking_score`` that end "lost".
        lost_frames: images in a row below ``lost_score`` that make a target lost.
        max_search_growth: the search window grows up to so many times while uncertain. The
            network was trained on objects 0.7 to 1.4 times their nominal size: beyond, it fails.
        min_box_px: shortest side of an init box, in image pixels.
        max_targets: targets followed at once.
    """

    window_weight: float = 0.3
    scale_penalty: float = 0.15
    size_smoothing: float = 0.7
    tracking_score: float = 0.35
    lost_score: float = 0.15
    recover_frames: int = 2
    lost_frames: int = 8
    max_search_growth: float = 1.25
    min_box_px: float = 8.0
    max_targets: int = 16

    def __post_init__(self) -> None:
        check_ranges(self, SETTING_RANGES)
        if self.lost_score > self.tracking_score:
            raise ValueError(
                f"lost_score is {self.lost_score}; it must not exceed tracking_score, "
                f"{self.tracking_score}"
            )


#: How much the search window grows with every uncertain image.
_GROWTH_PER_FRAME = 1.1


@dataclass(frozen=True, eq=False)
class _Target:
    """What is known of one target after its last image; ``result.box`` is where it is."""

    result: TrackResult
    image_size: tuple[int, int]
    value_range: tuple[float, float] | None
    growth: float = 1.0
    low_frames: int = 0
    good_frames: int = 0


class Tracker:
    """Follows several targets with one engine.

    Not thread-safe: one thread owns it (see session.py).

    Args:
        engine: a loaded network; the target's id is its slot.
    """

    def __init__(self, engine: Engine, settings: TrackerSettings | None = None) -> None:
        self._engine = engine
        self.settings = settings or TrackerSettings()
        self._targets: dict[int, _Target] = {}
        self._next_id = 1  # ids are not given again: a result of the old target may be on its way
        size = engine.spec.search_size
        self._crops = np.empty((engine.spec.max_targets, size, size, 3), np.uint8)

    @classmethod
    def from_pretrained(
        cls,
        name: str = "siampolar_lite0",
        *,
        engine: str = "auto",
        settings: TrackerSettings | None = None,
        **options: Any,
    ) -> Tracker:
        """Tracker with shipped weights, or with a model folder given by its path.

        Args:
            options: fields of :class:`siampolar_model.engines.base.EngineOptions`.

        Raises:
            EngineError: see :func:`siampolar_model.pretrained.load_engine`.
        """
        tracker = cls(load_engine(name, engine, **options), settings)
        tracker.warm_up()
        return tracker

    def warm_up(self) -> None:
        """Run both graphs, so that the first image is not slower than the rest."""
        slot, size = 0, self.spec.template_size  # ids begin at 1
        box_xyxy = np.array([0.25, 0.25, 0.75, 0.75], np.float32) * size
        self._engine.encode(slot, np.zeros((size, size, 3), np.uint8), box_xyxy)
        middle = self.spec.search_size / 2
        prior = np.array([[0, 0, middle, middle, middle, middle]], np.float32)
        for _ in range(3):
            self._engine.search([slot], np.zeros_like(self._crops[:1]), prior)
        self._engine.release(slot)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of all targets, sorted."""
        return tuple(sorted(self._targets))

    @property
    def spec(self) -> ModelSpec:
        return self._engine.spec

    @property
    def engine(self) -> Engine:
        return self._engine

    def init(self, frame: Frame | np.ndarray, box: Box, *, id: int | None = None) -> int:
        """Start following what is in a box.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array.
            box: in image pixels; clipped to the image.
            id: the target to start again, or the id to give to a new one; None takes the next.

        Returns:
            The target's id.

        Raises:
            BoxError: see :func:`siampolar_model.results.validate_init_box`.
            TargetLimitError: no room for another target.
        """
        frame = _as_frame(frame)
        settings = self.settings
        box = validate_init_box(box, frame.width, frame.height, settings.min_box_px)
        if id is not None and id < 1:
            raise ValueError(f"target id {id} must be 1 or more")
        if id not in self._targets and len(self._targets) >= settings.max_targets:
            raise TargetLimitError(
                f"{len(self._targets)} targets are followed already; at most "
                f"{settings.max_targets} are allowed"
            )
        new_id = id if id is not None else self._next_id
        window = template_window(box, self.spec.template_size)
        value_range = frame.value_range()
        crop = frame.cut(window, value_range=value_range)
        inside = window.box_to_crop(box)
        self._engine.encode(new_id, crop, inside.as_xyxy())
        result = TrackResult(
            id=new_id,
            state=TrackState.TRACKING,
            score=1.0,
            quality=0.0,
            box=box,
            center_xy=box.center_xy,
            rays_px=np.full(self.spec.n_rays, min(box.width, box.height) / 2, np.float32),
            polygon_xy=box.corners_xy(),
        )
        self._next_id = max(self._next_id, new_id + 1)
        self._targets[new_id] = _Target(result, (frame.width, frame.height), value_range)
        return new_id

    def track(
        self, frame: Frame | np.ndarray, ids: Collection[int] | None = None
    ) -> list[TrackResult]:
        """Find targets in the next image.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array, of the size they started on.
            ids: which targets; None: all.

        Returns:
            One result per target, sorted by id. A target that is lost stays where it was last
            believed until an image scores ``tracking_score`` again; from then on its geometry
            moves, while the state still waits for ``recover_frames``.

        Raises:
            FrameError: the image has another size than the one a target started on.
            KeyError: an id that is not followed.
        """
        frame = _as_frame(frame)
        chosen = sorted(self._targets if ids is None else set(ids))
        for id in chosen:
            started = self._targets[id].image_size
            if started != (frame.width, frame.height):
                raise FrameError(
                    f"image is {frame.width}x{frame.height} but target {id} was started on "
                    f"{started[0]}x{started[1]}"
                )
        results = []
        batch = len(self._crops)
        for start in range(0, len(chosen), batch):
            results += self._track_batch(frame, chosen[start : start + batch])
        return results

    def remove(self, id: int) -> bool:
        """Stop following a target; whether it was known."""
        self._engine.release(id)
        return self._targets.pop(id, None) is not None

    def reset(self) -> None:
        """Stop following all targets."""
        for id in self.ids:
            self.remove(id)

    def _track_batch(self, frame: Frame, ids: list[int]) -> list[TrackResult]:
        if not ids:
            return []
        windows = [self._window(self._targets[id]) for id in ids]
        for i, (id, window) in enumerate(zip(ids, windows, strict=True)):
            frame.cut(window, out=self._crops[i], value_range=self._targets[id].value_range)
        prior = self._prior(ids, windows)
        found = self._engine.search(ids, self._crops[: len(ids)], prior)
        for i, (id, window) in enumerate(zip(ids, windows, strict=True)):
            self._targets[id] = self._update(self._targets[id], found, i, window)
        return [self._targets[id].result for id in ids]

    def _window(self, target: _Target) -> CropWindow:
        box = target.result.box
        factor = self.spec.search_factor * target.growth
        return search_window(box.center_xy, box.width, box.height, factor, self.spec.search_size)

    def _prior(self, ids: list[int], windows: list[CropWindow]) -> np.ndarray:
        """Rows for the graph; in a search crop the last place is always the middle."""
        prior = np.empty((len(ids), PRIOR_COLUMNS), np.float32)
        middle = self.spec.search_size / 2
        for row, id, window in zip(prior, ids, windows, strict=True):
            box, settings = self._targets[id].result.box, self.settings
            width, height = box.width * window.scale, box.height * window.scale
            row[:] = (
                settings.window_weight, settings.scale_penalty, width, height, middle, middle
            )  # fmt: skip
        return prior

    def _update(self, target: _Target, found: Candidates, i: int, window: CropWindow) -> _Target:
        """Believe the best candidate, or not."""
        settings, old = self.settings, target.result
        score, quality = float(found.score[i, 0]), float(found.quality[i, 0])
        geometry = (found.box_xyxy[i, 0], found.center_xy[i, 0], found.rays_px[i, 0])
        if not all(np.isfinite(v).all() for v in (score, quality, *geometry)):
            raise FloatingPointError(
                f"the network gave numbers that are not finite for target {old.id}: score {score}, "
                f"quality {quality}, box {geometry[0]}, center {geometry[1]}"
            )
        low_frames = target.low_frames + 1 if score < settings.lost_score else 0
        good_frames = target.good_frames + 1 if score >= settings.tracking_score else 0
        state = _next_state(old.state, score, low_frames, good_frames, settings)
        uncertain = score < settings.tracking_score
        growth = target.growth * _GROWTH_PER_FRAME if uncertain else 1.0
        counted = replace(
            target,
            growth=min(growth, settings.max_search_growth),
            low_frames=low_frames,
            good_frames=good_frames,
        )
        lost = old.state == TrackState.LOST
        if score < (settings.tracking_score if lost else settings.lost_score):
            # Following a wrong object would lose the right one: stay where it was last seen.
            return replace(counted, result=replace(old, state=state, score=score, quality=0.0))
        width, height = target.image_size
        seen = window.box_to_image(Box(*map(float, geometry[0])))
        rate = settings.size_smoothing * score
        box = _keep_inside(
            seen.center_xy,
            old.box.width + (seen.width - old.box.width) * rate,
            old.box.height + (seen.height - old.box.height) * rate,
            width,
            height,
        )
        center = window.points_to_image(geometry[1].astype(np.float64))
        center_xy = (float(center[0]), float(center[1]))
        rays_px = np.maximum(geometry[2] / np.float32(window.scale), polar.MIN_RAY_PX)
        outline = polar.clip_polygon(polar.polygon(center_xy, rays_px), width, height)
        result = TrackResult(old.id, state, score, quality, box, center_xy, rays_px, outline)
        return replace(counted, result=result)


def _as_frame(frame: Frame | np.ndarray) -> Frame:
    return frame if isinstance(frame, Frame) else Frame.from_bgr(frame)


def _keep_inside(
    center_xy: tuple[float, float], width: float, height: float, image_w: int, image_h: int
) -> Box:
    """A box whose centre stays in the image and whose sides stay between 2 px and the image's."""
    cx = min(max(center_xy[0], 0.0), float(image_w))
    cy = min(max(center_xy[1], 0.0), float(image_h))
    return Box.from_center(cx, cy, min(max(width, 2.0), image_w), min(max(height, 2.0), image_h))


def _next_state(
    state: TrackState, score: float, low_frames: int, good_frames: int, settings: TrackerSettings
) -> TrackState:
    """Hysteresis: one good image ends "uncertain", several end "lost", many bad ones begin it."""
    if state == TrackState.LOST:
        found = good_frames >= settings.recover_frames
        return TrackState.TRACKING if found else TrackState.LOST
    if low_frames >= settings.lost_frames:
        return TrackState.LOST
    return TrackState.TRACKING if score >= settings.tracking_score else TrackState.UNCERTAIN
