"""What installed packages add: entry points of the groups ``siampolar.*``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, distributions


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group from every installed distribution, sorted by name.

    ``importlib.metadata.entry_points`` looks only at the first distribution of each name. In a
    sourced ROS workspace two distributions are called siampolar_ros, and the first is the one that
    ament writes for the messages, without entry points. An entry point that is installed twice with
    the same name and value is given once.
    """
    found: dict[tuple[str, str], EntryPoint] = {}
    for distribution in distributions():
        for entry in distribution.entry_points:
            if entry.group == group:
                found.setdefault((entry.name, entry.value), entry)
    return tuple(found[key] for key in sorted(found))
