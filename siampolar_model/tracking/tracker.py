"""Follows targets from image to image: where to look, what to believe, when to give up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.base import Engine, Prior
from ..engines.loading import load_engine
from ..errors import FrameError, TargetLimitError
from ..geometry.box import Box, as_box, validate_init_box
from ..geometry.crops import search_window, template_window
from ..images.frame import Frame
from ..models.folder import ModelFolder
from ..models.spec import ModelSpec
from ..results import Target, TargetState
from .redetection import Sweep, share
from .search_crop import Candidate, SearchCrop
from .settings import TrackerSettings
from .target_state import TrackedTarget

#: Seconds between images where the caller does not say.
_PERIOD_S = 1 / 30

#: A lost target looks about its last place once in so many crops, at the whole frame in the others.
_LAST_PLACE_EVERY = 4


class Tracker:
    """Follows several targets with one engine.

    Not thread-safe: one thread owns it (see session.py).

    Args:
        engine: a loaded network; the target's id is its slot.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import Tracker
        >>> image = np.full((240, 320, 3), 90, np.uint8)
        >>> image[80:140, 100:180] = (0, 80, 220)
        >>> tracker = Tracker.from_pretrained("siampolar_lite0", engine="onnxruntime")
        >>> tracker.start(image, (100, 80, 80, 60))
        1
        >>> for target in tracker.update(np.roll(image, 5, axis=1)):
        ...     print(target.id, target.state.name, target.polygon_xy.shape)
        1 TRACKING (72, 2)
        >>> tracker.targets[0].box.iou(tracker.update(image)[0].box) > 0.5
        True
    """

    def __init__(self, engine: Engine, settings: TrackerSettings | None = None) -> None:
        self._engine = engine
        self.settings = settings or TrackerSettings()
        self._targets: dict[int, TrackedTarget] = {}
        self._next_id = 1  # ids are not given again: a result of the old target may be on its way
        size = engine.spec.search_size
        self._crops = np.empty((engine.spec.max_targets, size, size, 3), np.uint8)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | ModelFolder = "siampolar_lite0",
        *,
        engine: str = "auto",
        settings: TrackerSettings | None = None,
        precision: str = "auto",
        num_threads: int | None = None,
        build_engine: str = "never",
        engine_path: Path | None = None,
    ) -> Tracker:
        """Tracker with shipped weights, or with a model folder given by its path.

        Args:
            model, engine, precision, num_threads, build_engine, engine_path: see
                :func:`siampolar_model.engines.loading.load_engine`.
            settings: None for the default ones.

        Raises:
            EngineError, EngineMissing, ProcessUnusable: see
                :func:`siampolar_model.engines.loading.load_engine`.
        """
        loaded = load_engine(
            model,
            engine,
            precision=precision,
            num_threads=num_threads,
            build_engine=build_engine,
            engine_path=engine_path,
        )
        tracker = cls(loaded, settings)
        tracker.warm_up()
        return tracker

    def warm_up(self) -> None:
        """Run both graphs, so that the first image is not slower than the rest."""
        slot, size = 0, self.spec.template_size  # ids begin at 1
        box_xyxy = np.array([0.25, 0.25, 0.75, 0.75], np.float32) * size
        self._engine.encode(slot, np.zeros((size, size, 3), np.uint8), box_xyxy)
        middle = self.spec.search_size / 2
        prior = np.array([Prior(0, 0, middle, middle, middle, middle)], np.float32)
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

    @property
    def targets(self) -> list[Target]:
        """The last result of every target, sorted by id."""
        return [self._targets[id].result for id in self.ids]

    if not TYPE_CHECKING:  # a checker would take every name for one that exists

        def __getattr__(self, name: str) -> Any:
            renamed = {"init": "start", "track": "update"}
            if name in renamed:
                raise AttributeError(f"Tracker.{name} is called Tracker.{renamed[name]} now")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def start(
        self, frame: Frame | np.ndarray, box: Box | Sequence[float], *, id: int | None = None
    ) -> int:
        """Start following what is in a box.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array.
            box: in image pixels, a :class:`Box` or (x, y, width, height); clipped to the image.
            id: the target to start again, or the id to give to a new one; None takes the next.

        Returns:
            The target's id.

        Raises:
            BoxError: not a box, or see :func:`siampolar_model.geometry.box.validate_init_box`.
            TargetLimitError: no room for another target.
        """
        frame = _as_frame(frame)
        settings = self.settings
        box = validate_init_box(as_box(box), frame.width, frame.height, settings.min_box_px)
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
        result = Target(
            id=new_id,
            state=TargetState.TRACKING,
            score=1.0,
            quality=0.0,
            box=box,
            polygon_xy=box.corners_xy(),
        )
        self._next_id = max(self._next_id, new_id + 1)
        self._targets[new_id] = TrackedTarget(result, (frame.width, frame.height), value_range)
        return new_id

    def update(
        self,
        frame: Frame | np.ndarray,
        ids: Collection[int] | None = None,
        *,
        elapsed_s: float = _PERIOD_S,
        redetect_crops: int | None = None,
    ) -> list[Target]:
        """Find targets in the next image.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array, of the size they started on.
            ids: which targets; None: all.
            elapsed_s: seconds since the last image; the search of the whole frame keeps to them.
            redetect_crops: fewer whole-frame windows for this image than the settings allow.

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
        most = self.settings.redetect_crops
        search_crops = self._search_crops(
            chosen, elapsed_s, most if redetect_crops is None else min(most, redetect_crops)
        )
        candidates = self._search(frame, search_crops)
        # Lost targets last: they cannot be what another one is found to be on this image.
        for id in sorted(chosen, key=lambda id: self._targets[id].lost):
            others = [
                self._targets[other].result
                for other in chosen
                if other != id and self._targets[other].result.state == TargetState.TRACKING
            ]
            self._targets[id] = self._targets[id].after(candidates[id], self.settings, others)
        return [self._targets[id].result for id in chosen]

    def remove(self, id: int) -> bool:
        """Stop following a target; whether it was known."""
        self._engine.release(id)
        return self._targets.pop(id, None) is not None

    def reset(self) -> None:
        """Stop following all targets."""
        for id in self.ids:
            self.remove(id)

    def _search_crops(
        self, ids: list[int], elapsed_s: float, most: int
    ) -> list[tuple[int, SearchCrop]]:
        """Which crops to search: one for each target, up to ``most`` more for those not tracked."""
        settings = self.settings
        sweeps = {}
        if settings.redetect_crops:
            searching = (id for id in ids if self._targets[id].searching(settings))
            sweeps = {id: self._sweep(self._targets[id]) for id in searching}
        owed = {}
        for id, sweep in sweeps.items():
            round_of_looks = len(sweep) * _LAST_PLACE_EVERY / (_LAST_PLACE_EVERY - 1)
            more = round_of_looks * elapsed_s / settings.redetect_period_s
            # What could not be granted is forgotten: no burst once it can.
            owed[id] = min(self._targets[id].owed + more, 1.0 + settings.redetect_crops)
        extra = share(owed, most)
        search_crops = []
        for id in ids:
            target = self._targets[id]
            if not target.lost:
                search_crops.append((id, self._crop_near(target, target.result.box, target.growth)))
            if target.sighting is not None:
                search_crops.append((id, self._crop_near(target, target.sighting.box, 1.0)))
            elif id in sweeps:
                count = extra[id] + target.lost
                search_crops += [
                    (id, search_crop)
                    for search_crop in self._crops_around(target, sweeps[id], count)
                ]
                owed_then = max(owed[id] - count, 0.0)
                self._targets[id] = replace(target, turn=target.turn + count, owed=owed_then)
            elif target.lost:
                search_crops.append((id, self._crop_near(target, target.result.box, target.growth)))
        return search_crops

    def _sweep(self, target: TrackedTarget) -> Sweep:
        box = target.result.box
        return Sweep.over(target.image_size, box.width, box.height, self.spec.search_factor)

    def _crop_near(self, target: TrackedTarget, box: Box, growth: float) -> SearchCrop:
        """About a place where it should be."""
        factor = self.spec.search_factor * growth
        size = self.spec.search_size
        window = search_window(box.center_xy, box.width, box.height, factor, size)
        weight, least = self.settings.window_weight, target.recover_score(self.settings)
        return SearchCrop(window, box.width, box.height, weight, least)

    def _crops_around(
        self, target: TrackedTarget, sweep: Sweep, count: int
    ) -> Iterator[SearchCrop]:
        """The next few windows of the whole frame; of a lost target also its last place."""
        box = target.result.box
        least = max(self.settings.redetect_score, target.recover_score(self.settings))
        for turn in range(target.turn, target.turn + count):
            rounds, place = divmod(turn, _LAST_PLACE_EVERY)
            if place == 0 and target.lost:
                yield self._crop_near(target, box, target.growth)
            else:
                number = rounds * (_LAST_PLACE_EVERY - 1) + max(place, 1) - 1
                window, scale = sweep.window(number, self.spec.search_size)
                yield SearchCrop(window, box.width * scale, box.height * scale, 0.0, least)

    def _search(
        self, frame: Frame, search_crops: list[tuple[int, SearchCrop]]
    ) -> dict[int, list[Candidate]]:
        """What the network finds, in as few batches as its size allows."""
        candidates: dict[int, list[Candidate]] = {}
        for start in range(0, len(search_crops), len(self._crops)):
            batch = search_crops[start : start + len(self._crops)]
            for crop, (id, search_crop) in zip(self._crops, batch, strict=False):
                frame.cut(search_crop.window, out=crop, value_range=self._targets[id].value_range)
            prior = np.array([self._prior(search_crop) for _, search_crop in batch], np.float32)
            crops = self._crops[: len(batch)]
            found = self._engine.search([id for id, _ in batch], crops, prior)
            for i, (id, search_crop) in enumerate(batch):
                candidates.setdefault(id, []).append(Candidate.of(search_crop, found, i, id))
        return candidates

    def _prior(self, search_crop: SearchCrop) -> Prior:
        """The expected place is always the middle of the crop."""
        scale, middle = search_crop.window.scale, self.spec.search_size / 2
        return Prior(
            window_weight=search_crop.window_weight,
            scale_penalty=self.settings.scale_penalty,
            width=search_crop.width * scale,
            height=search_crop.height * scale,
            center_x=middle,
            center_y=middle,
        )


def _as_frame(frame: Frame | np.ndarray) -> Frame:
    return frame if isinstance(frame, Frame) else Frame.from_bgr(frame)
