"""Results as lines of JSON, one per frame."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..results import Target

#: Version of the lines; it grows when a field is removed or changes its meaning.
SCHEMA = 1


def json_line(frame: int, stamp_ns: int, results: Iterable[Target]) -> str:
    """One frame as a line of JSON, with its line break.

    Args:
        frame: index of the frame in its video.
        stamp_ns: its time in nanoseconds.
        results: what the tracker returned for it.

    Returns:
        ``{"schema", "frame", "stamp_ns", "targets"}``, the targets as
        :meth:`siampolar_model.results.Target.to_dict` gives them.
    """
    targets = [result.to_dict() for result in results]
    line = {"schema": SCHEMA, "frame": frame, "stamp_ns": stamp_ns, "targets": targets}
    return json.dumps(line) + "\n"
