"""Values that cross a boundary: boxes, states and per-frame results.

Continuous pixel coordinates: pixel (row i, column j) covers [j, j+1) x [i, i+1), so a box
is half-open and its width is simply ``x2 - x1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from .geometry import polar
from .geometry.box import Box
from .geometry.rle import encode_rle
from .geometry.soft_mask import SoftMask


class TargetState(IntEnum):
    """What the tracker believes about a target; values equal the constants in Target.msg."""

    TRACKING = 1
    UNCERTAIN = 2
    LOST = 3


@dataclass(frozen=True)
class StateChange:
    """A target begins, changes its state, or ends.

    Attributes:
        id: the target.
        before: its state until now; None if it is new.
        after: its state from now on; None if it is gone.
        reason: why it is gone; empty if that was requested.
    """

    id: int
    before: TargetState | None
    after: TargetState | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Target:
    """One target on one image.

    Attributes:
        id: stable positive identifier given by :meth:`siampolar_model.Tracker.start`.
        state: tracking, uncertain or lost; the geometry of a lost target is the last one believed.
        score: raw classification score of the best candidate, [0, 1].
        quality: predicted IoU of the polygon with the object, [0, 1].
        box: box of the target in image pixels.
        polygon_xy: float32 (M, 2), the outline in image pixels, clipped to the image; M is 0 if
            no part of it is inside.
        confidence: probability that the outline lies on the chosen object (IoU of at least 0.5).
        velocity_xy: how fast the box's centre moves, pixels per second.
        predicted_box: where it was expected on this image, judging by its earlier motion, also
            while it is not seen; None if nothing is known about its motion.
        reason: why it is uncertain or lost; empty while it is tracked.
        soft_mask: the network's own mask, with parts and holes that the polygon cannot have; None
            if the network gives none.

    Example:
        >>> from siampolar_model import Box, Target, TargetState
        >>> box = Box.from_xywh(2, 1, 3, 2)
        >>> target = Target(7, TargetState.TRACKING, 0.91, 0.8, box, box.corners_xy())
        >>> target.mask(4, 6).astype(int)
        array([[0, 0, 0, 0, 0, 0],
               [0, 0, 1, 1, 1, 0],
               [0, 0, 1, 1, 1, 0],
               [0, 0, 0, 0, 0, 0]])
    """

    id: int
    state: TargetState
    score: float
    quality: float
    box: Box
    polygon_xy: np.ndarray
    confidence: float = 0.0
    velocity_xy: tuple[float, float] = (0.0, 0.0)
    predicted_box: Box | None = None
    reason: str = ""
    soft_mask: SoftMask | None = None

    @property
    def label(self) -> str:
        """What is written next to it on pictures: id, state and confidence in percent.

        Without the confidence where it is lost, or where nothing is known of it (0).

        Example:
            >>> from siampolar_model import Box, Target, TargetState
            >>> box = Box.from_xywh(2, 1, 3, 2)
            >>> Target(7, TargetState.TRACKING, 0.91, 0.8, box, box.corners_xy(), 0.973).label
            '7 tracking 97 %'
        """
        text = f"{self.id} {self.state.name.lower()}"
        known = self.confidence > 0 and self.state != TargetState.LOST
        return f"{text} {100 * self.confidence:.0f} %" if known else text

    def mask(self, height: int, width: int) -> np.ndarray:
        """What is the target, bool (height, width), in an image of that size.

        The network's own mask, or else the inside of the outline. A pixel is inside if its centre
        is, so areas have no bias. The mask of a lost target is where it was last believed to be.
        """
        inside = np.zeros((height, width), np.uint8)
        self.fill_into(inside, 1)
        return inside.view(bool)

    def fill_into(self, labels: np.ndarray, value: int) -> None:
        """Write ``value`` into an array of integers (H, W) of the image's size where
        :meth:`mask` is true."""
        if self.soft_mask is not None:
            self.soft_mask.fill_into(labels, value)
        else:
            polar.fill_into(labels, self.polygon_xy, value)

    def contours(self, height: int, width: int) -> list[np.ndarray]:
        """Outlines of :meth:`mask`, each float32 (M, 2) in image pixels: of every part and hole of
        the network's own mask, or else the polygon alone."""
        if self.soft_mask is not None:
            return self.soft_mask.contours(height, width)
        return [self.polygon_xy] if len(self.polygon_xy) >= 3 else []

    def to_rle(self, height: int, width: int) -> dict[str, object]:
        """:meth:`mask` as COCO's run lengths, ``{"size": [height, width], "counts": text}``.

        ``pycocotools.mask.decode`` turns it back into the mask.

        Example:
            >>> from siampolar_model import Box, Target, TargetState
            >>> box = Box.from_xywh(1, 0, 1, 2)
            >>> Target(7, TargetState.TRACKING, 0.91, 0.8, box, box.corners_xy()).to_rle(2, 2)
            {'size': [2, 2], 'counts': '22'}
        """
        return encode_rle(self.mask(height, width))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, rounded to the digits that mean something.

        Returns:
            ``id``, ``state`` (lower case), ``score``, ``quality``, ``confidence``, ``reason``,
            ``velocity`` (x, y in pixels per second), and in pixels ``box`` (x, y, width, height),
            ``predicted_box`` (or None) and ``polygon`` (points x, y).

        Example:
            >>> from siampolar_model import Box, Target, TargetState
            >>> outline = [(2, 1), (5, 1), (3.5, 3)]
            >>> box = Box.from_xywh(2, 1, 3, 2)
            >>> Target(7, TargetState.LOST, 0.25, 0.0, box, outline).to_dict()["polygon"]
            [[2.0, 1.0], [5.0, 1.0], [3.5, 3.0]]
        """
        return {
            "id": self.id,
            "state": self.state.name.lower(),
            "score": round(self.score, 4),
            "quality": round(self.quality, 4),
            "confidence": round(self.confidence, 4),
            "reason": self.reason,
            "box": _rounded(self.box.as_xywh()),
            "velocity": _rounded(self.velocity_xy),
            "predicted_box": self.predicted_box and _rounded(self.predicted_box.as_xywh()),
            "polygon": [_rounded(point) for point in self.polygon_xy],
        }

    def to_shapely(self, height: int, width: int) -> Any:
        """:meth:`mask` as a valid geometry of shapely, in image pixels; empty if nothing is inside.

        Args:
            height, width: of the image.

        Raises:
            ImportError: shapely is not installed.
        """
        from functools import reduce
        from operator import xor

        import shapely

        parts = [
            shapely.make_valid(shapely.Polygon(points)) for points in self.contours(height, width)
        ]
        # Even-odd, as the mask is filled: a contour inside another one is a hole.
        return reduce(xor, parts, shapely.Polygon())


def to_supervision(targets: Iterable[Target], height: int, width: int) -> Any:
    """Targets on one image as ``supervision.Detections``; lost ones are left out.

    Returns:
        ``xyxy``, ``mask``, ``tracker_id`` and ``confidence`` of each target, and under ``data``
        ``state`` (lower case), ``reason``, ``score``, ``quality`` and ``velocity`` (N, 2).

    Raises:
        ImportError: supervision is not installed.

    Example:
        >>> from siampolar_model import Box, Target, TargetState, to_supervision
        >>> box = Box.from_xywh(40, 30, 60, 50)
        >>> target = Target(7, TargetState.TRACKING, 0.9, 0.8, box, box.corners_xy())
        >>> to_supervision([target], 120, 160).tracker_id.tolist()
        [7]
    """
    import supervision

    seen = [one for one in targets if one.state != TargetState.LOST]
    if not seen:
        return supervision.Detections.empty()
    return supervision.Detections(
        xyxy=np.array([one.box.as_xyxy() for one in seen], np.float32),
        mask=np.array([one.mask(height, width) for one in seen]),
        confidence=np.array([one.confidence for one in seen], np.float32),
        class_id=np.zeros(len(seen), int),
        tracker_id=np.array([one.id for one in seen]),
        data={
            "state": np.array([one.state.name.lower() for one in seen]),
            "reason": np.array([one.reason for one in seen]),
            "score": np.array([one.score for one in seen], np.float32),
            "quality": np.array([one.quality for one in seen], np.float32),
            "velocity": np.array([one.velocity_xy for one in seen], np.float32),
        },
    )


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 2) for value in values]
