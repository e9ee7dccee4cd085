"""Environment variables for images between processes, for the demo and the launch files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: Distributions whose Fast DDS reads the profile from the older variable; later ones warn about it.
_OLDER_NAME = ("humble", "jazzy")


def share_file(name: str) -> Path:
    """A file of this package by its place in the source tree, such as ``config/fastdds.xml``."""
    source = Path(__file__).resolve().parents[2] / name
    if source.is_file():
        return source
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("siampolar_ros")) / name


def dds_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What to add to the environment of every process that sends or receives images.

    Variables that the caller's environment already has are left alone.
    """
    older = environment.get("ROS_DISTRO") in _OLDER_NAME
    profile = "FASTRTPS_DEFAULT_PROFILES_FILE" if older else "FASTDDS_DEFAULT_PROFILES_FILE"
    wanted = {
        # Images do not fit Fast DDS's default shared-memory segment.
        profile: str(share_file("config/fastdds.xml")),
        # Reuse the pages of the last image; mapping and clearing new ones doubles the cost.
        "MALLOC_MMAP_THRESHOLD_": "1073741824",
        "MALLOC_TRIM_THRESHOLD_": "1073741824",
        "MALLOC_TOP_PAD_": "16777216",
    }
    return {name: value for name, value in wanted.items() if name not in environment}


def local_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What keeps a ROS graph on this machine, unless the caller's environment decides it."""
    if environment.get("ROS_DISTRO") == "humble":
        name, value = "ROS_LOCALHOST_ONLY", "1"
    else:
        name, value = "ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"
    return {} if name in environment else {name: value}
