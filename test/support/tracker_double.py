"""The tracker node with a test double for its engine, which follows colours.

    python tracker_double.py [--delay-ms N] [--faults FILE] --ros-args ...

Everything but the network is real. It may take N milliseconds for every search, and raises as
often as the number in FILE says, counting it down.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siampolar_model.engines.base import Candidates
from siampolar_model.tracking.tracker import Tracker
from siampolar_ros.nodes.tracker_node import TrackerNode
from siampolar_ros.runtime.run import run_node
from support.blob_engine import BlobEngine


class FaultyEngine(BlobEngine):
    """Slow, or broken for a while."""

    choice = "a test double that follows colours"

    def __init__(self, delay_s: float, faults: Path | None) -> None:
        super().__init__()
        self._delay_s = delay_s
        self._faults = faults

    def search(self, slots: Sequence[int], crops: np.ndarray, prior: np.ndarray) -> Candidates:
        time.sleep(self._delay_s)
        if self._faults is not None and self._faults.exists():
            left = int(self._faults.read_text())
            if left > 0:
                self._faults.write_text(str(left - 1))
                raise RuntimeError(f"the device was unplugged ({left})")
        return super().search(slots, crops, prior)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--faults", type=Path)
    arguments, _ = parser.parse_known_args()

    def make() -> TrackerNode:
        node = TrackerNode(
            load=lambda settings: Tracker(
                FaultyEngine(arguments.delay_ms / 1e3, arguments.faults), settings.tracker
            ),
            recovery_delays_s=(0.1, 0.2),
        )
        node.autostart()
        return node

    return run_node("tracker", make, TrackerNode.close, args=sys.argv)


if __name__ == "__main__":
    sys.exit(main())
