"""Follows targets from image to image: where to look, what to believe, when to give up."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..engines.base import PRIOR_COLUMNS, Engine
from ..engines.loading import load_engine
from ..errors import FrameError, TargetLimitError
from ..geometry.box import Box, validate_init_box
from ..geometry.crops import search_window, template_window
from ..images.frame import Frame
from ..models.spec import ModelSpec
from ..results import TrackResult, TrackState
from .redetection import Sweep, share
from .search_crop import Look, Sight
from .settings import SETTING_RANGES as SETTING_RANGES
from .settings import TrackerSettings
from .target_state import Target

#: Seconds between images where the caller does not say.
_PERIOD_S = 1 / 30

#: A lost target looks about its last place once in so many crops, at the whole frame in the others.
_LAST_PLACE_EVERY = 4


class Tracker:
    """Follows several targets with one engine.

    Not thread-safe: one thread owns it (see session.py).

    Args:
        engine: a loaded network; the target's id is its slot.
    """

    def __init__(self, engine: Engine, settings: TrackerSettings | None = None) -> None:
        self._engine = engine
        self.settings = settings or TrackerSettings()
        self._targets: dict[int, Target] = {}
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
            EngineError: see :func:`siampolar_model.engines.loading.load_engine`.
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
            BoxError: see :func:`siampolar_model.geometry.box.validate_init_box`.
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
        self._targets[new_id] = Target(result, (frame.width, frame.height), value_range)
        return new_id

    def track(
        self,
        frame: Frame | np.ndarray,
        ids: Collection[int] | None = None,
        *,
        elapsed_s: float = _PERIOD_S,
        research_crops: int | None = None,
    ) -> list[TrackResult]:
        """Find targets in the next image.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array, of the size they started on.
            ids: which targets; None: all.
            elapsed_s: seconds since the last image; the search of the whole frame keeps to them.
            research_crops: fewer whole-frame windows for this image than the settings allow.

        Returns:
            One result per target, sorted by id. A target that is lost stays where it was last
            believed until it was seen at one place on ``recover_frames`` images in a row.

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
        most = self.settings.research_crops
        looks = self._looks(
            chosen, elapsed_s, most if research_crops is None else min(most, research_crops)
        )
        sights = self._search(frame, looks)
        # Lost targets last: they cannot be what another one is found to be on this image.
        for id in sorted(chosen, key=lambda id: self._targets[id].lost):
            others = [
                self._targets[other].result
                for other in chosen
                if other != id and self._targets[other].result.state == TrackState.TRACKING
            ]
            self._targets[id] = self._targets[id].after(sights[id], self.settings, others)
        return [self._targets[id].result for id in chosen]

    def remove(self, id: int) -> bool:
        """Stop following a target; whether it was known."""
        self._engine.release(id)
        return self._targets.pop(id, None) is not None

    def reset(self) -> None:
        """Stop following all targets."""
        for id in self.ids:
            self.remove(id)

    def _looks(self, ids: list[int], elapsed_s: float, most: int) -> list[tuple[int, Look]]:
        """Which crops to search: one for each target, up to ``most`` more for those not tracked."""
        settings = self.settings
        sweeps = {}
        if settings.research_crops:
            searching = (id for id in ids if self._targets[id].searching(settings))
            sweeps = {id: self._sweep(self._targets[id]) for id in searching}
        owed = {}
        for id, sweep in sweeps.items():
            round_of_looks = len(sweep) * _LAST_PLACE_EVERY / (_LAST_PLACE_EVERY - 1)
            more = round_of_looks * elapsed_s / settings.research_period_s
            # What could not be granted is forgotten: no burst once it can.
            owed[id] = min(self._targets[id].owed + more, 1.0 + settings.research_crops)
        extra = share(owed, most)
        looks = []
        for id in ids:
            target = self._targets[id]
            if not target.lost:
                looks.append((id, self._look_near(target, target.result.box, target.growth)))
            if target.sighting is not None:
                looks.append((id, self._look_near(target, target.sighting.box, 1.0)))
            elif id in sweeps:
                count = extra[id] + target.lost
                looks += [(id, look) for look in self._look_around(target, sweeps[id], count)]
                owed_then = max(owed[id] - count, 0.0)
                self._targets[id] = replace(target, turn=target.turn + count, owed=owed_then)
            elif target.lost:
                looks.append((id, self._look_near(target, target.result.box, target.growth)))
        return looks

    def _sweep(self, target: Target) -> Sweep:
        box = target.result.box
        return Sweep.over(target.image_size, box.width, box.height, self.spec.search_factor)

    def _look_near(self, target: Target, box: Box, growth: float) -> Look:
        """About a place where it should be."""
        factor = self.spec.search_factor * growth
        size = self.spec.search_size
        window = search_window(box.center_xy, box.width, box.height, factor, size)
        weight, least = self.settings.window_weight, target.recover_score(self.settings)
        return Look(window, box.width, box.height, weight, least)

    def _look_around(self, target: Target, sweep: Sweep, count: int) -> Iterator[Look]:
        """The next few windows of the whole frame; of a lost target also its last place."""
        box = target.result.box
        least = max(self.settings.research_score, target.recover_score(self.settings))
        for turn in range(target.turn, target.turn + count):
            rounds, place = divmod(turn, _LAST_PLACE_EVERY)
            if place == 0 and target.lost:
                yield self._look_near(target, box, target.growth)
            else:
                number = rounds * (_LAST_PLACE_EVERY - 1) + max(place, 1) - 1
                window, scale = sweep.window(number, self.spec.search_size)
                yield Look(window, box.width * scale, box.height * scale, 0.0, least)

    def _search(self, frame: Frame, looks: list[tuple[int, Look]]) -> dict[int, list[Sight]]:
        """What the network finds, in as few batches as its size allows."""
        sights: dict[int, list[Sight]] = {}
        for start in range(0, len(looks), len(self._crops)):
            batch = looks[start : start + len(self._crops)]
            for crop, (id, look) in zip(self._crops, batch, strict=False):
                frame.cut(look.window, out=crop, value_range=self._targets[id].value_range)
            prior = np.array([self._prior(look) for _, look in batch], np.float32)
            crops = self._crops[: len(batch)]
            found = self._engine.search([id for id, _ in batch], crops, prior)
            for i, (id, look) in enumerate(batch):
                sights.setdefault(id, []).append(Sight.of(look, found, i, id))
        return sights

    def _prior(self, look: Look) -> tuple[float, ...]:
        """A row for the graph; the place expected is always the middle of the crop."""
        scale, middle = look.window.scale, self.spec.search_size / 2
        size = look.width * scale, look.height * scale
        row = look.window_weight, self.settings.scale_penalty, *size, middle, middle
        assert len(row) == PRIOR_COLUMNS
        return row


def _as_frame(frame: Frame | np.ndarray) -> Frame:
    return frame if isinstance(frame, Frame) else Frame.from_bgr(frame)
