"""What the launch files check before they start anything, and how their nodes end with them.

``launch`` starts one action after another, and does not end the processes that it has just begun
to start when a later action fails. So everything that can fail is checked first, and a node also
ends by itself when the ``launch`` that started it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from siampolar_model.errors import SiampolarError

from .environment import dds_environment

#: Process of the ``launch`` that started this node.
_LAUNCH_PID = "SIAMPOLAR_LAUNCH_PID"


class LaunchError(SiampolarError, RuntimeError):
    """An argument of a launch file that cannot be used; nothing was started."""


def launch_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a launch file adds to the environment of the processes that it starts."""
    return {**dds_environment(environment), _LAUNCH_PID: str(os.getpid())}


def launch_is_gone(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launch file started this process and its ``launch`` does not run any more."""
    pid = environment.get(_LAUNCH_PID, "")
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it runs, as another user
    return False


def check_package(name: str, argument: str) -> None:
    """Refuse an argument whose node belongs to a package that is not installed.

    Args:
        argument: as it was given, such as ``rviz:=true``.

    Raises:
        LaunchError: the package is not installed.
    """
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        get_package_prefix(name)
    except PackageNotFoundError:
        apt = f"ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-{name.replace('_', '-')}"
        raise LaunchError(
            f"{argument} needs the package {name}: sudo apt-get install {apt}"
        ) from None


def check_module(name: str, what: str) -> None:
    """Refuse what needs a Python module that is not installed.

    Raises:
        LaunchError: the module is not installed.
    """
    if find_spec(name) is None:
        raise LaunchError(f"{what} needs {name}: pip install {name}")


def check_params_file(path: str) -> None:
    """Refuse a parameters file that is not there; ``launch`` would start without it.

    Raises:
        LaunchError: the file is missing.
    """
    if path and not Path(path).is_file():
        raise LaunchError(f"params_file:={path}: no such file")
