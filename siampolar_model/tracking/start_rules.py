"""What a target needs before it may start: a usable region, and room for one more."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import TargetLimitError
from ..geometry.region import Region, validate_region
from .settings import TrackerSettings


def check_start(
    region: Region,
    image_size: tuple[int, int],
    id: int | None,
    followed: Collection[int],
    settings: TrackerSettings,
) -> Region:
    """The region of a new target, a box clipped to its image, or a refusal.

    Args:
        region: in image pixels.
        image_size: width and height of the image.
        id: the target to start; one of ``followed`` is started again and needs no room.
        followed: ids of the targets that are followed already.

    Raises:
        BoxError: see :func:`siampolar_model.geometry.region.validate_region`.
        TargetLimitError: ``max_targets`` targets are followed already.
    """
    region = validate_region(region, *image_size, settings.min_box_px)
    if id not in followed and len(followed) >= settings.max_targets:
        raise TargetLimitError(
            f"{len(followed)} targets are followed already; at most {settings.max_targets} "
            "are allowed"
        )
    return region
