"""Which photographs are held out for validation."""

from __future__ import annotations

from pathlib import Path

from siampolar_model.errors import DatasetError

#: Of every HOLDOUT_EVERY runs of GROUP neighbouring numbers one is held out, 10 of every 200.
#: Photographs with neighbouring numbers are similar (one source, often one class), so a run stays
#: on one side.
GROUP = 10
HOLDOUT_EVERY = 20
_HELD_OUT = 7


def held_out(number: int) -> bool:
    """Whether the photograph of this number belongs to the validation side."""
    return (number // GROUP) % HOLDOUT_EVERY == _HELD_OUT


def empty_side(root: Path, count: int, validation: bool) -> DatasetError:
    """The error for a set with no photograph on one side."""
    side, first = "validation" if validation else "training", _HELD_OUT * GROUP
    return DatasetError(
        f"{root}: none of {count} photographs is on the {side} side of the split; of "
        f"every {HOLDOUT_EVERY} runs of {GROUP} numbers one is held out, "
        f"from {first:05d} to {first + GROUP - 1:05d} first"
    )
