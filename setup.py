"""What pyproject.toml cannot say: the version from package.xml and training/'s import name."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# training/ is imported as siampolar_training: `training` alone would be too common a name.
setup(
    version=ElementTree.parse(ROOT / "package.xml").findtext("version"),
    # msg/ is data of siampolar_model too: a replay needs the messages where there is no ROS.
    package_dir={"siampolar_training": "training", "siampolar_model.msg": "msg"},
    packages=[
        "siampolar_model.msg",
        *find_packages(str(ROOT), include=["siampolar_model*", "siampolar_ros*"]),
        "siampolar_training",
        *(f"siampolar_training.{name}" for name in find_packages(str(ROOT / "training"))),
    ],
    package_data={
        "siampolar_model": ["py.typed", "weights/*/*"],
        "siampolar_model.msg": ["*.msg"],
        "siampolar_ros": ["console/page/*"],
    },
)
