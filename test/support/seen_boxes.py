"""A tracker whose network finds the boxes that a test puts into the picture."""

from __future__ import annotations

import numpy as np

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.geometry.box import Box
from siampolar_model.models.spec import ModelSpec
from siampolar_model.tracking.search_crop import SearchCrop, candidates_of
from siampolar_model.tracking.tracker import Tracker

FRAME = np.zeros((360, 640, 3), np.uint8)


class Nobody(Engine):
    """Only has a spec: what is found comes from the tracker below."""

    name = "nobody"
    spec = ModelSpec("nobody", 127, 255, 1.7, 36, 16)

    def encode(self, *_: object) -> None: ...
    def release(self, slot: int) -> None: ...
    def search(self, *_: object) -> Candidates:
        raise NotImplementedError


class Scene(Tracker):
    """Finds the same boxes wherever a crop shows their middles, the nearest to its own first.

    Args:
        candidates: how many are found in one crop at most.

    Attributes:
        seen: what is in sight, image pixels, and its score.
    """

    def __init__(self, candidates: int) -> None:
        super().__init__(Nobody())
        self.seen: dict[Box, float] = {}
        self._count = candidates

    def _search(self, frame: object, search_crops: list[tuple[int, SearchCrop]]) -> dict:
        found: dict[int, list] = {}
        for id, search_crop in search_crops:
            window = search_crop.window
            inside = [
                (window.box_to_crop(box), score)
                for box, score in self.seen.items()
                if np.abs(np.subtract(box.center_xy, (window.cx, window.cy))).max()
                < window.side / 2
            ]
            middle = np.array([127.5, 127.5])
            inside.sort(key=lambda one: float(np.abs(one[0].center_xy - middle).sum()))
            k, rays = self._count, 36
            row = Candidates(
                np.zeros((1, k), np.float32),
                np.zeros((1, k), np.float32),
                np.tile(np.float32([100, 100, 155, 155]), (1, k, 1)),
                np.full((1, k, 2), 127.5, np.float32),
                np.full((1, k, rays), 20, np.float32),
            )
            for i, (box, score) in enumerate(inside[:k]):
                row.score[0, i], row.box_xyxy[0, i] = score, box.as_xyxy()
                row.center_xy[0, i] = box.center_xy
                row.rays_px[0, i] = min(box.width, box.height) / 2
            found.setdefault(id, []).append(candidates_of(search_crop, row, 0, id))
        return found
