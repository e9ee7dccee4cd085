"""docs/augmentations.md and its pictures are what the code draws today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("skimage")
pytest.importorskip("PIL")
import cv2

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    path = ROOT / "scripts" / "draw_augmentations.py"
    spec = importlib.util.spec_from_file_location("draw_augmentations", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(drawing: ModuleType) -> None:
    assert (ROOT / drawing.PAGE).read_text(encoding="utf-8") == drawing.page()
    files = {path.name: path.stat().st_size for path in (ROOT / drawing.PICTURES).iterdir()}
    assert set(files) == {drawing.file_name(row) for row in drawing.ROWS}
    assert sum(files.values()) < 1_000_000


def test_the_pictures_are_current(drawing: ModuleType) -> None:
    reader = drawing.FreePhotos()
    plain = coarse(drawing.draw(drawing.ROWS[0], reader))
    for row in drawing.ROWS:
        kept = cv2.imread(str(ROOT / drawing.PICTURES / drawing.file_name(row)))
        drawn = drawing.draw(row, reader)
        assert kept.shape == drawn.shape, row.name
        # JPEG (up to 11) and other versions of OpenCV; a change that is not drawn any more, 60.
        assert np.abs(coarse(kept) - coarse(drawn)).max() < 25, row.name
        if row is not drawing.ROWS[0]:
            assert np.abs(coarse(drawn)[: len(plain)] - plain).max() > 50, row.name


def coarse(image: np.ndarray) -> np.ndarray:
    """Means of blocks of 10 px, which JPEG keeps."""
    height, width = image.shape[:2]
    size = width // 10, height // 10
    return cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
