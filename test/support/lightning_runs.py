"""A tiny training for tests: its data, its network and its configuration."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from support.drawn_photos import photo, write_photos

NETWORK = (
    "name: tiny\nsearch_backbone: resnet10t\ntemplate_backbone: resnet10t\nlevels: [8]\n"
    "width: 8\ncorrelation: pixelwise\ntemplate_size: 63\nsearch_size: 127\n"
    "head: {width: 8, class_convs: 1, box_convs: 1, mask_convs: 1, rays: 36}\n"
)

#: What else a network can have.
EVERYTHING = "detail: true\nmap: {widths: [8, 8], convs: 1}\ntemplate_mask: true\npresence: true\n"

#: The command line of a training, for processes of their own.
SCRIPT = (
    "import sys\nfrom siampolar_training.run.lightning_cli import TrainingCLI\n"
    "TrainingCLI(sys.argv[1:])\n"
)


def write_run(folder: Path) -> None:
    """Photographs on both sides of the split, a network, and ``run.yaml`` of ten steps."""
    write_photos(folder / "photos", [*map(photo, range(4)), photo(75)])
    (folder / "tiny.yaml").write_text(NETWORK)
    (folder / "script.py").write_text(SCRIPT)
    config = {
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 2, "val_check_interval": 4},
        "model": {
            "network": str(folder / "tiny.yaml"),
            "backbone_weights": "none",
            "warmup_steps": 2,
            "frozen": ["^conv1", "bn1"],
        },
        "data": {
            "sources": [{"kind": "photos", "root": str(folder / "photos")}],
            "pairs": 20, "batch": 2, "workers": 0, "clips": 1,
        },
        "checkpoint": {"every": 3},
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(config))


def arguments(folder: Path, out: Path, **changes: Any) -> list[str]:
    """Of ``fit``; ``changes`` are settings by their dotted names."""
    options = {"trainer.default_root_dir": out, **changes}
    settings = [f"--{key}={value}" for key, value in options.items()]
    return ["fit", "--config", str(folder / "run.yaml"), *settings]


def environment() -> dict[str, str]:
    """For processes that import what this one can."""
    path = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def log_rows(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Equal steps, weights and averaged weights of two checkpoints, to the last bit."""
    assert a["global_step"] == b["global_step"]
    for part in ("state_dict", "current_model_state"):
        assert a[part].keys() == b[part].keys()
        for key, value in a[part].items():
            assert torch.equal(value, b[part][key]), f"{part} {key}"
