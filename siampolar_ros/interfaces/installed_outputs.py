"""Outputs of the tracker node that other packages bring (entry points ``siampolar.outputs``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from siampolar_model.plugins import entry_points

from .output import Output

ENTRY_POINT_GROUP = "siampolar.outputs"

# A private topic of the node, as ROS allows them: ~/distance, ~/distance/raw.
_TOPIC = re.compile(r"~(/[A-Za-z_][A-Za-z0-9_]*)+")


def installed_outputs(
    taken_topics: Collection[str], on_problem: Callable[[str], None]
) -> dict[str, type[Output]]:
    """The output class of each entry point, by its name.

    An output that cannot be used is left out and reported to ``on_problem`` in one line, since the
    node must go on following its targets.

    Args:
        taken_topics: the topics that the node itself publishes; no installed output may use them.
    """
    found: dict[str, type[Output]] = {}
    topics = set(taken_topics)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            output = entry.load()
        except Exception as error:  # whatever a foreign module raises while it is imported
            on_problem(f"output {entry.name} ({entry.value}) cannot be imported: {error!r}")
            continue
        problem = _problem_of(entry.name, output, topics)
        if problem:
            on_problem(f"output {entry.name} ({entry.value}) is not used: {problem}")
            continue
        topics.add(output.topic)
        found[entry.name] = output
    return found


def _problem_of(name: str, output: object, topics: Collection[str]) -> str:
    """Why this is not an output that the node can use; empty if it is one."""
    if not (isinstance(output, type) and issubclass(output, Output)):
        return "it is not a subclass of siampolar_ros.interfaces.output.Output"
    topic = getattr(output, "topic", None)
    if not (isinstance(topic, str) and _TOPIC.fullmatch(topic)):
        return f"its topic is {topic!r}; it must be a private one, such as '~/{name}'"
    if topic in topics:
        return f"its topic {topic} is taken by another output"
    if not hasattr(getattr(output, "type", None), "_TYPE_SUPPORT"):
        return f"its type is {getattr(output, 'type', None)!r}; it must be a class of ROS messages"
    for parameter in output.parameters:
        if not parameter.name.startswith(f"{name}."):
            return f"its parameter {parameter.name} must be called {name}.{parameter.name}"
    return ""
