"""What a target needs before it may start: a usable box, and room for one more."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import TargetLimitError
from ..geometry.box import Box, validate_init_box
from .settings import TrackerSettings


def check_start(
    box: Box,
    image_size: tuple[int, int],
    id: int | None,
    followed: Collection[int],
    settings: TrackerSettings,
) -> Box:
    """Clip the box of a new target to its image, or refuse the target.

    Args:
        box: in image pixels.
        image_size: width and height of the image.
        id: the target to start; one of ``followed`` is started again and needs no room.
        followed: ids of the targets that are followed already.

    Raises:
        BoxError: see :func:`siampolar_model.geometry.box.validate_init_box`.
        TargetLimitError: ``max_targets`` targets are followed already.
    """
    box = validate_init_box(box, *image_size, settings.min_box_px)
    if id not in followed and len(followed) >= settings.max_targets:
        raise TargetLimitError(
            f"{len(followed)} targets are followed already; at most {settings.max_targets} "
            "are allowed"
        )
    return box
