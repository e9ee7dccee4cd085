"""An engine for tests that follows a plain-coloured blob, with the interface of the real ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from siampolar_model.engines.base import Candidates, Engine
from siampolar_model.geometry import polar
from siampolar_model.models.spec import ModelSpec


class BlobEngine(Engine):
    """Remembers the colour in the middle of the template and outlines it in the search crop."""

    name = "blob"

    def __init__(self) -> None:
        self.spec = ModelSpec("blob", 127, 255, 1.7, 72, 4)
        self._colors: dict[int, np.ndarray] = {}

    def encode(self, slot: int, crop: np.ndarray, box_xyxy: np.ndarray) -> None:
        x, y = int(box_xyxy[[0, 2]].mean()), int(box_xyxy[[1, 3]].mean())
        self._colors[slot] = crop[y, x].astype(int)

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        n, rays = len(slots), self.spec.n_rays
        score, quality = np.zeros((n, 1), np.float32), np.zeros((n, 1), np.float32)
        box = np.zeros((n, 1, 4), np.float32)
        center = np.zeros((n, 1, 2), np.float32)
        lengths = np.ones((n, 1, rays), np.float32)
        for i, slot in enumerate(slots):
            mask = (np.abs(crops[i].astype(int) - self._colors[slot]).max(2) < 60).astype(np.uint8)
            rows, columns = np.nonzero(mask)
            if len(rows) < 50:
                box[i, 0] = (100, 100, 150, 150)
                continue
            score[i] = 0.9
            box[i, 0] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            center[i, 0] = columns.mean() + 0.5, rows.mean() + 0.5
            profiles = polar.sample_profiles(mask, center[i], rays, 180, 1.0)
            lengths[i], quality[i] = polar.best_overlap_rays(profiles, 1.0, float(mask.sum()))
        return Candidates(score, quality, box, center, lengths)

    def release(self, slot: int) -> None:
        self._colors.pop(slot, None)
