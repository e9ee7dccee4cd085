"""Which crops of an image are searched for which target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..geometry.box import Box
from ..geometry.crops import search_window
from ..models.spec import ModelSpec
from .redetection import RedetectionWindows, extra_crops
from .search_crop import SearchCrop
from .settings import TrackerSettings
from .target_state import TrackedTarget

#: One in this many crops of a lost target shows its last place, the others show windows of the
#: whole frame.
_LAST_PLACE_EVERY = 4


class SearchPlan:
    """The search crops of one image.

    Every target has one crop; targets that are not tracked may have a few more.

    Args:
        targets: the targets to find, sorted by id.
        elapsed_s: seconds since the last image. More time makes more windows of the whole frame
            due, see ``redetect_period_s``.
        redetect_crops: windows allowed for all lost targets together, if fewer than the setting of
            this name; None allows as many.

    Attributes:
        crops: pairs of id and crop, sorted by id. The first crop of a target that is not lost is
            the one around its last position.
        targets: the targets with the crops counted that are now spent on redetection.
    """

    def __init__(
        self,
        targets: Mapping[int, TrackedTarget],
        elapsed_s: float,
        redetect_crops: int | None,
        settings: TrackerSettings,
        spec: ModelSpec,
    ) -> None:
        self._settings = settings
        self._spec = spec
        self.crops: list[tuple[int, SearchCrop]] = []
        self.targets = dict(targets)
        windows = self._windows()
        due = {id: self._crops_due(id, len(windows[id]), elapsed_s) for id in windows}
        limit = settings.redetect_crops
        extra = extra_crops(due, limit if redetect_crops is None else min(limit, redetect_crops))
        for id, target in targets.items():
            if not target.lost:
                self._add(id, self._near_last_place(target))
            if target.unconfirmed is not None:
                self._add(id, self._near(target, target.unconfirmed.box, 1.0))
            elif id in windows:
                count = extra[id] + target.lost
                self._add(id, *self._redetection_crops(target, windows[id], count))
                self.targets[id] = replace(
                    target,
                    crops_searched=target.crops_searched + count,
                    crops_due=max(due[id] - count, 0.0),
                )
            elif target.lost:
                self._add(id, self._near_last_place(target))

    def _add(self, id: int, *crops: SearchCrop) -> None:
        self.crops += [(id, crop) for crop in crops]

    def _windows(self) -> dict[int, RedetectionWindows]:
        """The whole-frame windows of every target that may be anywhere."""
        if not self._settings.redetect_crops:
            return {}
        return {
            id: RedetectionWindows.covering(
                target.image_size,
                target.result.box.width,
                target.result.box.height,
                self._spec.search_factor,
            )
            for id, target in self.targets.items()
            if target.searching(self._settings)
        }

    def _crops_due(self, id: int, windows: int, elapsed_s: float) -> float:
        all_crops = windows * _LAST_PLACE_EVERY / (_LAST_PLACE_EVERY - 1)
        due = self.targets[id].crops_due + all_crops * elapsed_s / self._settings.redetect_period_s
        # Crops that were not allowed are forgotten, so that no burst follows later.
        return min(due, 1.0 + self._settings.redetect_crops)

    def _near(self, target: TrackedTarget, box: Box, growth: float) -> SearchCrop:
        """The crop around a place where the target is expected."""
        factor = self._spec.search_factor * growth
        window = search_window(box.center_xy, box.width, box.height, factor, self._spec.search_size)
        least_score = target.recover_score(self._settings)
        return SearchCrop(window, box.width, box.height, self._settings.window_weight, least_score)

    def _near_last_place(self, target: TrackedTarget) -> SearchCrop:
        return self._near(target, target.expected_box, target.growth)

    def _redetection_crops(
        self, target: TrackedTarget, windows: RedetectionWindows, count: int
    ) -> Iterator[SearchCrop]:
        """The next windows of the whole frame and, if it is lost, now and then its last place."""
        box = target.result.box
        least_score = max(self._settings.redetect_score, target.recover_score(self._settings))
        for index in range(target.crops_searched, target.crops_searched + count):
            rounds, place = divmod(index, _LAST_PLACE_EVERY)
            if place == 0 and target.lost:
                yield self._near_last_place(target)
            else:
                number = rounds * (_LAST_PLACE_EVERY - 1) + max(place, 1) - 1
                window, scale = windows.window(number, self._spec.search_size)
                yield SearchCrop(window, box.width * scale, box.height * scale, 0.0, least_score)
