"""Which of many targets take a turn without a search: they are moved by their motion instead.

Where a batch of crops costs as much as as many single ones, as on a CPU, many targets would slow
each other down. A target that moves evenly and is seen well loses nothing if it is searched for on
every other image only.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..geometry.box import Box
from ..results import TargetState
from .settings import TrackerSettings
from .target_state import TrackedTarget

#: A target moves evenly if the last search found it where it was expected, with at least this IoU.
#: On six sequences of DAVIS train, a target alone rested on 36 % of the images and lost 0.6 points
#: of J with 0.9; with 0.8 it rested on 45 % and lost 1.1.
_STEADY = 0.9

#: Boxes grown by this factor about their middles must not meet: of targets that come close to each
#: other, all are searched for.
_ROOM = 1.5

#: A box that is nearer to the image's border may be cut off by it.
_BORDER_PX = 2.0


def resting(targets: Mapping[int, TrackedTarget], settings: TrackerSettings) -> set[int]:
    """The targets that are not searched for on the next image.

    At most half of the steady ones at a time, those that move most evenly, and none twice in a
    row; none at all while there are no more than ``full_rate_targets``.
    """
    if len(targets) <= settings.full_rate_targets:
        return set()
    boxes = {id: _grown(target.result.box) for id, target in targets.items()}
    steady = [
        id
        for id, target in targets.items()
        if _is_steady(target, settings)
        and not any(boxes[id].iou(box) for other, box in boxes.items() if other != id)
    ]
    ready = sorted(
        (id for id in steady if not targets[id].rested),
        key=lambda id: (-targets[id].steadiness, id),
    )
    return set(ready[: (len(steady) + 1) // 2])


def _is_steady(target: TrackedTarget, settings: TrackerSettings) -> bool:
    box, (width, height) = target.result.box, target.image_size
    return (
        target.result.state == TargetState.TRACKING
        and target.steadiness >= _STEADY
        and target.result.score >= target.recover_score(settings)
        # An outline that the image's border cuts off cannot be moved.
        and min(box.x1, box.y1, width - box.x2, height - box.y2) > _BORDER_PX
    )


def _grown(box: Box) -> Box:
    return Box.from_center(*box.center_xy, box.width * _ROOM, box.height * _ROOM)
