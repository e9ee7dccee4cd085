"""Follows targets from image to image with one engine."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.base import Engine, Prior
from ..engines.loading import load_engine
from ..errors import FrameError
from ..geometry import polar
from ..geometry.crops import CropWindow, template_window
from ..geometry.region import Mask, Outline, Point, Region, as_region, bounds_of
from ..images.frame import Frame
from ..images.resample import cut_array
from ..models.folder import ModelFolder
from ..models.spec import ModelSpec
from ..results import Target, TargetState
from .claims import alike_targets, settle
from .confidence import Calibration, Evidence
from .distractors import Distractor, updated
from .elapsed import USUAL_S
from .outline_overlap import same_region
from .point_start import box_about
from .search_crop import Candidate, SearchCrop, candidates_of
from .search_plan import SearchPlan
from .settings import TrackerSettings
from .start_check import start_warning
from .start_rules import check_start
from .target_state import TrackedTarget
from .turns import resting


class Tracker:
    """Follows several targets with one engine.

    Not thread-safe: one thread owns it (see :class:`siampolar_model.session.session.Session`).

    Args:
        engine: a loaded network; a target's id is the slot of its template.

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
        self._calibration = Calibration.of(engine.spec)
        self._targets: dict[int, TrackedTarget] = {}
        self._distractors: tuple[Distractor, ...] = ()
        # What was found for new targets on their starting images, until their first update.
        self._at_start: dict[int, tuple[Frame, SearchCrop, list[Candidate]]] = {}
        self._next_id = 1  # ids are not reused: a result of an old target may be on its way
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
        provider: str = "cpu",
    ) -> Tracker:
        """Tracker with shipped weights, or with a model folder given by its path.

        Args:
            model, engine, precision, num_threads, build_engine, engine_path, provider: see
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
            provider=provider,
        )
        tracker = cls(loaded, settings)
        tracker.warm_up()
        return tracker

    def warm_up(self) -> None:
        """Run both graphs, so that the first image does not take longer than the others."""
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
        return [self._targets[id].published for id in self.ids]

    if not TYPE_CHECKING:  # else a type checker would accept any attribute

        def __getattr__(self, name: str) -> Any:
            renamed = {"init": "start", "track": "update"}
            if name in renamed:
                raise AttributeError(f"Tracker.{name} is called Tracker.{renamed[name]} now")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def start(
        self,
        frame: Frame | np.ndarray,
        region: Region | Sequence[Any] | np.ndarray,
        *,
        id: int | None = None,
    ) -> int:
        """Start following an object.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array.
            region: the object in image pixels: a :class:`Box` or (x, y, width, height), clipped to
                the image; a :class:`Point` on it or (x, y), about which the network finds what
                stands out; an :class:`Outline` or an array (M, 2); a :class:`Mask` or an array
                (H, W). A model whose ``spec.takes_mask`` is true starts on the pixels of an
                outline or mask, another one on the box around them.
            id: the target to start again, or the id of a new one; None takes the next free id.

        Returns:
            The target's id.

        Raises:
            BoxError: not a region, see :func:`siampolar_model.geometry.region.validate_region`, or
                nothing stands out about the point.
            TargetLimitError: ``max_targets`` targets are followed already.
            ValueError: an id below 1.
        """
        frame = _as_frame(frame)
        if id is not None and id < 1:
            raise ValueError(f"target id {id} must be 1 or more")
        region = check_start(
            as_region(region), (frame.width, frame.height), id, self._targets, self.settings
        )
        if isinstance(region, Point):
            region = box_about(self._engine, frame, region, self.settings)
        box = bounds_of(region).clip(frame.width, frame.height)
        new_id = id if id is not None else self._next_id
        window = template_window(box, self.spec.template_size)
        value_range = frame.value_range()
        crop = frame.cut(window, value_range=value_range)
        inside = window.box_to_crop(box)
        mask = _mask_of(region, frame) if self.spec.takes_mask else None
        given = () if mask is None else (_cut_mask(mask, window),)
        self._engine.encode(new_id, crop, inside.as_xyxy(), *given)
        self._at_start.pop(new_id, None)
        result = Target(
            id=new_id,
            state=TargetState.TRACKING,
            score=1.0,
            quality=0.0,
            box=box,
            polygon_xy=box.corners_xy(),
        )
        self._next_id = max(self._next_id, new_id + 1)
        size = frame.width, frame.height
        self._targets[new_id] = TrackedTarget.starting(result, size, value_range, self._calibration)
        return new_id

    def update(
        self,
        frame: Frame | np.ndarray,
        ids: Collection[int] | None = None,
        *,
        elapsed_s: float = USUAL_S,
        redetect_crops: int | None = None,
    ) -> list[Target]:
        """Find targets in the next image.

        Args:
            frame: the image, or a uint8 (H, W, 3) BGR array, of the size that the targets
                started on.
            ids: targets to find; None finds all.
            elapsed_s: seconds since the last image; the default suits video of 30 images per
                second.
            redetect_crops: windows of the whole frame that may be searched for all lost targets
                together, if fewer than the setting of this name; None: as many.

        Returns:
            One result per target, sorted by id. A lost target keeps its last believed position
            until it was seen at one place on ``recover_frames`` images in a row. Of more than
            ``full_rate_targets``, some were only moved by their motion (turns.py) and keep the
            score of their last search.

        Raises:
            FrameError: the image does not have the size of the image that a target started on.
            KeyError: an id that is not followed.
            ValueError: a time below 0 or not finite.
        """
        if not 0 <= elapsed_s < math.inf:
            raise ValueError(f"elapsed_s is {elapsed_s}; it must be 0 or more seconds")
        frame = _as_frame(frame)
        chosen = sorted(self._targets if ids is None else set(ids))
        for id in chosen:
            started = self._targets[id].image_size
            if started != (frame.width, frame.height):
                raise FrameError(
                    f"image is {frame.width}x{frame.height} but target {id} was started on "
                    f"{started[0]}x{started[1]}"
                )
        targets = {id: self._targets[id].later(elapsed_s) for id in chosen}
        rests = set() if self._engine.cheap_batches else resting(targets, self.settings)
        for id in rests:
            self._targets[id] = targets.pop(id).moved()
        plan = SearchPlan(targets, elapsed_s, redetect_crops, self.settings, self.spec)
        self._targets.update(plan.targets)
        candidates = self._search(frame, plan.crops)
        self._follow(targets, candidates, rests, elapsed_s)
        return [self._targets[id].published for id in chosen]

    def _follow(
        self,
        targets: Mapping[int, TrackedTarget],
        candidates: dict[int, list[list[Candidate]]],
        rests: Collection[int],
        elapsed_s: float,
    ) -> None:
        """Give what was found to the targets, and change their states.

        Args:
            targets: as they were expected on this image.
            candidates: of each target's crops; the first crop of one that is not lost is the one
                around its expected place.
            rests: ids of the targets on this image that were moved and not searched for.
        """
        least_score = self.settings.tracking_score
        near = {id: candidates[id].pop(0) for id in targets if not targets[id].lost}
        motions = {id: target.motion for id, target in targets.items()}
        alike = {id: target.alike & motions.keys() for id, target in targets.items()}
        tracking = {id for id in near if targets[id].result.state == TargetState.TRACKING}
        expected = [one.after(elapsed_s) for one in self._distractors]
        known = [one for one in expected if one.known]
        given = settle(near, motions, alike, [one.motion for one in known], tracking)
        for id, more in alike_targets(given.things, given.claims, least_score).items():
            target = self._targets[id]
            self._targets[id] = replace(target, alike=target.alike | more)
        # Lost targets are updated last, so that they cannot claim an object that another target
        # was just found on.
        for id in sorted(targets, key=lambda id: id not in near):
            others = [
                self._targets[other].result
                for other in (*targets, *rests)
                if other != id and self._targets[other].seen
            ]
            rivals = [
                self._targets[other].motion for other in alike[id] if not self._targets[other].seen
            ]
            rivals += [one.motion for one in known if id in one.ids]
            elsewhere = [ones[0] for ones in candidates[id]]
            self._targets[id] = self._targets[id].after(
                given.claims.get(id), elsewhere, self.settings, others, rivals
            )
        self._doubt_same_regions(targets)
        tracked = {id for id in tracking if self._targets[id].tracking}
        far = [
            candidate.image_box
            for crops in candidates.values()
            for found in crops
            for candidate in found
            if candidate.score >= least_score
        ]
        sizes = {id: self._targets[id].usual_size for id in near}
        self._distractors = updated(expected, given, far, tracked, sizes, least_score)

    def _doubt_same_regions(self, ids: Collection[int]) -> None:
        """Of two targets with one outline, the less probable one becomes uncertain."""
        tracked = [id for id in ids if self._targets[id].tracking]
        for a, b in combinations(tracked, 2):
            one, other = self._targets[a], self._targets[b]
            if one.tracking and other.tracking and same_region(one.result, other.result):
                loser, winner = sorted((a, b), key=lambda id: self._targets[id].result.score)
                self._targets[loser] = self._targets[loser].doubted(
                    f"it has the outline of target {winner}"
                )

    def evidence(self, id: int) -> Evidence:
        """What the confidence of a target was computed from on its last image.

        Raises:
            KeyError: an id that is not followed.
        """
        return self._targets[id].evidence

    def start_warning(self, frame: Frame | np.ndarray, id: int) -> str:
        """What a user should know about the box of a target that was just started; empty if it is
        good: there is little to hold on to, most of it is background, or a similar object is in
        sight.

        The target is searched for on its starting image, which takes as long as an update. Its
        first update, if on the same :class:`Frame`, takes what was found.

        Args:
            frame: the image that it was started on.

        Raises:
            KeyError: an id that is not followed.
        """
        frame, target = _as_frame(frame), self._targets[id]
        ((_, crop),) = SearchPlan({id: target}, 0.0, 0, self.settings, self.spec).crops
        (found,) = self._search(frame, [(id, crop)])[id]
        self._at_start[id] = frame, crop, found
        return start_warning(target.result.box, found)

    def remove(self, id: int) -> bool:
        """Stop following a target; False if there was none with this id."""
        self._engine.release(id)
        self._at_start.pop(id, None)
        return self._targets.pop(id, None) is not None

    def reset(self) -> None:
        """Stop following all targets."""
        for id in self.ids:
            self.remove(id)
        self._distractors = ()

    def _search(
        self, frame: Frame, search_crops: list[tuple[int, SearchCrop]]
    ) -> dict[int, list[list[Candidate]]]:
        """What the network finds in each target's crops, in as few batches as possible."""
        candidates = self._found_at_start(frame, search_crops)
        search_crops = [one for one in search_crops if one[0] not in candidates]
        for start in range(0, len(search_crops), len(self._crops)):
            batch = search_crops[start : start + len(self._crops)]
            for crop, (id, search_crop) in zip(self._crops, batch, strict=False):
                frame.cut(search_crop.window, out=crop, value_range=self._targets[id].value_range)
            prior = np.array([self._prior(search_crop) for _, search_crop in batch], np.float32)
            crops = self._crops[: len(batch)]
            found = self._engine.search([id for id, _ in batch], crops, prior)
            for i, (id, search_crop) in enumerate(batch):
                candidates.setdefault(id, []).append(candidates_of(search_crop, found, i, id))
        return candidates

    def _found_at_start(
        self, frame: Frame, search_crops: Sequence[tuple[int, SearchCrop]]
    ) -> dict[int, list[list[Candidate]]]:
        """What is known of these crops because new targets were searched for in them already."""
        candidates = {}
        for id, crop in search_crops:
            if id in self._at_start:
                seen, searched, found = self._at_start.pop(id)
                if seen is frame and searched == crop:
                    candidates[id] = [found]
        return candidates

    def _prior(self, search_crop: SearchCrop) -> Prior:
        return search_crop.prior(self.settings.scale_penalty)


def _mask_of(region: Region, frame: Frame) -> np.ndarray | None:
    """The pixels of an outline or a mask, (H, W), not 0 on the target; None of a box."""
    if isinstance(region, Mask):
        return region.pixels
    if isinstance(region, Outline):
        return polar.fill(region.points_xy, frame.height, frame.width)
    return None


def _cut_mask(mask: np.ndarray, window: CropWindow) -> np.ndarray:
    inside = np.where(mask != 0, np.uint8(255), np.uint8(0))
    return (cut_array(inside, window, border=(0.0,)) >= 128).astype(np.uint8)


def _as_frame(frame: Frame | np.ndarray) -> Frame:
    return frame if isinstance(frame, Frame) else Frame.from_bgr(frame)
