"""Draws targets on an image: outline, translucent fill, box, id, state and confidence."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from ..geometry.box import Box
from ..results import Target, TargetState

# Opacity of the fill; a lost target has none, and dashed lines instead of solid ones.
_FILL = {TargetState.TRACKING: 0.35, TargetState.UNCERTAIN: 0.15, TargetState.LOST: 0.0}

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX = 22  # of a capital letter at font scale 1

# Vertices are given to OpenCV in 1/16 px.
_SHIFT = 4


def color_of(target_id: int) -> tuple[int, int, int]:
    """The vivid BGR colour of this id; neighbouring ids look far apart."""
    # Steps of the golden angle never repeat; brightness separates the hues that come close.
    hue = (0.33 + target_id * 0.6180339887) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9, (1.0, 0.75)[target_id // 8 % 2])
    return round(blue * 255), round(green * 255), round(red * 255)


def draw(image: np.ndarray, targets: Iterable[Target]) -> np.ndarray:
    """Draw targets onto an image, in place: outline, fill, box, id, state and confidence.

    Lines and text grow with the image, so that they stay legible from 480p to 4K. Lost targets
    are dashed and not filled. Where labels would cover each other or another target, the id alone
    is written.

    Args:
        image: uint8 (H, W, 3), BGR, writable.
        targets: what the tracker returned for this image.

    Returns:
        The same array.

    Example:
        >>> import numpy as np
        >>> from siampolar_model import Box, Target, TargetState, draw
        >>> image = np.zeros((120, 160, 3), np.uint8)
        >>> box = Box.from_xywh(40, 30, 60, 50)
        >>> target = Target(1, TargetState.TRACKING, 0.9, 0.8, box, box.corners_xy())
        >>> draw(image, [target]) is image, bool(image.any())
        (True, True)
    """
    height, width = image.shape[:2]
    line = max(1, round(math.hypot(width, height) / 500))
    targets = list(targets)
    for target in targets:
        _draw_shape(image, target, line)
    # Labels last, so that no fill hides them; those of small targets first, whose place is scarce.
    boxes = {target.id: target.box.clip(width, height) for target in targets}
    plates: list[Box] = []
    for target in sorted(targets, key=lambda target: boxes[target.id].area):
        others = [box for id, box in boxes.items() if id != target.id]
        plates.append(_draw_label(image, target, line, plates, others))
    return image


def _draw_shape(image: np.ndarray, result: Target, line: int) -> None:
    color = color_of(result.id)
    lost = result.state == TargetState.LOST
    box = result.box.clip(image.shape[1], image.shape[0])
    _blend(image, result, color, _FILL[result.state])
    for outline in result.contours(*image.shape[:2]):
        # A dark rim keeps the outline visible on a background of its own colour; a small image
        # has no room for it.
        if not lost and line > 1:
            _draw_closed(image, outline, (0, 0, 0), line + max(2, line // 2), dash_px=0)
        _draw_closed(image, outline, color, line, dash_px=6 * line if lost else 0)
    if box.area > 0:
        _draw_closed(
            image, box.corners_xy(), color, max(1, line // 2), dash_px=6 * line if lost else 0
        )


def _blend(image: np.ndarray, result: Target, color: tuple[int, int, int], opacity: float) -> None:
    """Mix the colour into the target's mask, touching only its bounding rectangle."""
    if opacity == 0:
        return
    whole = result.mask(*image.shape[:2]).view(np.uint8)
    left, top, width, height = cv2.boundingRect(whole)
    if width == 0:
        return
    region = image[top : top + height, left : left + width]
    mask = whole[top : top + height, left : left + width]
    paint = np.full_like(region, color)
    cv2.copyTo(cv2.addWeighted(region, 1 - opacity, paint, opacity, 0), mask, region)


def _draw_closed(
    image: np.ndarray, points_xy: np.ndarray, color: tuple[int, int, int], line: int, dash_px: int
) -> None:
    """Draw a closed outline (M, 2) in continuous pixels; ``dash_px`` 0: solid."""
    points = np.asarray(points_xy, np.float64) - 0.5  # OpenCV counts from pixel centres
    strokes = [points] if dash_px == 0 else _dashes(points, dash_px)
    fixed = [np.round(stroke * (1 << _SHIFT)).astype(np.int32) for stroke in strokes]
    cv2.polylines(image, fixed, dash_px == 0, color, line, cv2.LINE_AA, _SHIFT)


def _dashes(points: np.ndarray, dash_px: int) -> list[np.ndarray]:
    """Every second piece, about ``dash_px`` long, of a closed outline."""
    closed = np.concatenate([points, points[:1]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    pieces = max(2, 2 * round(along[-1] / (2 * dash_px)))
    ends = np.linspace(0, along[-1], pieces + 1)
    strokes = []
    for start, end in zip(ends[:-1:2], ends[1::2], strict=True):
        at = np.concatenate([[start], along[(along > start) & (along < end)], [end]])
        strokes.append(np.stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)], 1))
    return strokes


def _draw_label(
    image: np.ndarray, result: Target, line: int, plates: Sequence[Box], others: Sequence[Box]
) -> Box:
    """The label on a plate of the target's colour, or the id alone where it is crowded.

    Args:
        plates: those drawn already.
        others: boxes of the other targets.

    Returns:
        The plate.
    """
    height, width = image.shape[:2]
    color = color_of(result.id)
    scale = max(11.0, 0.017 * math.hypot(width, height) * 0.75) / _FONT_HEIGHT_PX
    stroke = max(1, round(1.6 * scale))
    margin = max(2, line)
    box = result.box.clip(width, height)
    for text in (result.label, str(result.id)):
        (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, stroke)
        size = (text_width + 2 * margin, text_height + below + 2 * margin)
        places = [_moved_inside(place, width, height) for place in _places(box, size, line)]
        free = [place for place in places if not any(map(place.intersection, plates))]
        if text == result.label:
            free = [place for place in free if not _is_near(place, box, others)]
        free.sort(key=lambda place: sum(map(place.intersection, others)))
        if free:
            break
    # Where nothing is free, the usual place.
    plate = (free or places)[0]
    left, top = round(plate.x1), round(plate.y1)
    cv2.rectangle(image, (left, top), (left + size[0], top + size[1]), color, cv2.FILLED)
    luminance = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]
    ink = (0, 0, 0) if luminance > 110 else (255, 255, 255)
    origin = (left + margin, top + margin + text_height)
    cv2.putText(image, text, origin, _FONT, scale, ink, stroke, cv2.LINE_AA)
    return plate


def _places(box: Box, size: tuple[int, int], line: int) -> Iterator[Box]:
    """Where a plate may be: above the box, below it, or in it if that is large enough, each at its
    left and at its right end."""
    tops = [box.y1 - size[1] - line, box.y2 + line]
    if box.height >= 3 * size[1]:
        tops += [box.y1 + line, box.y2 - size[1] - line]
    for top in tops:
        for left in (box.x1, box.x2 - size[0]):
            yield Box.from_xywh(left, top, *size)


def _moved_inside(plate: Box, width: int, height: int) -> Box:
    left = round(min(max(plate.x1, 0), max(0, width - plate.width)))
    top = round(min(max(plate.y1, 0), max(0, height - plate.height)))
    return Box.from_xywh(left, top, plate.width, plate.height)


def _is_near(plate: Box, own: Box, others: Sequence[Box]) -> bool:
    """Whether a plate could be taken for that of another target, or hides one; a target that
    surrounds its own does not count."""
    x, y = plate.center_xy
    around = Box.from_center(x, y, plate.width, 3 * plate.height)
    return any(around.intersection(box) > 0 and own.intersection(box) < own.area for box in others)
