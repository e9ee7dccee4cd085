"""``siampolar doctor``: what is installed here, what can run, and what cannot and why."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from .console import one_line
from .options import DEFAULT_MODEL, Model

#: Any of these variables names a file with the profile of Fast DDS.
_DDS_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def doctor(
    model: Model = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say what is installed here, which engines can run, and why others cannot.

    The exit code is 1 if no engine can run.
    """
    found = examine(model)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for line in _lines(found):
            typer.echo(line)
    if not any(one["runs"] for one in found["engines"].values()):
        raise typer.Exit(1)


def examine(model: str, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """All findings as plain values: ``versions``, ``engines``, ``cpu``, ``ros`` and ``dds``.

    Raises:
        EngineError: the model cannot be opened.
    """
    from ..bench.machine import machine, versions
    from ..engines.cpu import quota_threads
    from ..engines.loading import engine_names
    from ..models.folder import ModelFolder

    opened = ModelFolder.open(model)
    cpu = machine()
    profile = next((name for name in _DDS_PROFILES if environment.get(name)), None)
    return {
        "versions": versions(),
        "engines": {name: _engine(name, opened) for name in engine_names()},
        "cpu": {
            "name": cpu.cpu,
            "features": list(cpu.cpu_flags),
            "cores": cpu.cores,
            "quota_threads": quota_threads(),
        },
        "ros": {
            "found": find_spec("rclpy") is not None,
            "distribution": environment.get("ROS_DISTRO"),
            "middleware": environment.get("RMW_IMPLEMENTATION"),
        },
        "dds": {
            "profile_variable": profile,
            "profile": profile and environment[profile],
            "profile_exists": profile is not None and os.path.isfile(environment[profile]),
        },
    }


def _engine(name: str, model: Any) -> dict[str, Any]:
    from ..engines.loading import load_engine

    try:
        loaded = load_engine(model, name)
    except Exception as error:  # whatever an engine raises is what keeps it from running
        reason = one_line(error) or type(error).__name__
        return {"runs": False, "precision": None, "reason": reason}
    return {"runs": True, "precision": loaded.precision, "reason": None}


def _lines(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{name}: {version}" for name, version in found["versions"].items()]
    for name, one in found["engines"].items():
        text = f"runs, in {one['precision']}" if one["runs"] else f"cannot run: {one['reason']}"
        lines.append(f"engine {name}: {text}")
    cpu, ros, dds = found["cpu"], found["ros"], found["dds"]
    quota = cpu["quota_threads"]
    limit = "no quota below that" if quota is None else f"a quota for {quota} threads"
    features = ", ".join(cpu["features"]) or "none of those that matter"
    lines += [
        f"CPU: {cpu['name']}; {cpu['cores']} cores, {limit}",
        f"CPU features: {features}",
    ]
    named = ", ".join(str(ros[key]) for key in ("distribution", "middleware") if ros[key])
    lines.append(
        f"ROS 2: {f'found ({named})' if named else 'found'}"
        if ros["found"]
        else "ROS 2: not found (rclpy cannot be imported); only the nodes need it"
    )
    if dds["profile"] is None:
        lines.append("DDS profile: not set; docs/deployment.md says what it is for")
    else:
        missing = "" if dds["profile_exists"] else ", which is not a file"
        lines.append(f"DDS profile: {dds['profile']}{missing} ({dds['profile_variable']})")
    return lines
