"""OpenCV's TrackerNano (boxes only), timed next to our tracker on the same frames."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import BenchError
from ..evaluation.peers import quiet_opencv
from ..geometry.box import Box
from .stages import Timings

#: Files of a peer folder, as OpenCV's sample for TrackerNano names them.
PEER_FILES = ("nanotrack_backbone.onnx", "nanotrack_head.onnx")


class Peer:
    """A loaded TrackerNano.

    Args:
        folder: holds :data:`PEER_FILES`.

    Raises:
        BenchError: this OpenCV has no TrackerNano, or a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        # By name: OpenCV before 4.7 has no such attribute, and type stubs of later ones differ.
        create = getattr(cv2, "TrackerNano_create", None)
        make_parameters = getattr(cv2, "TrackerNano_Params", None)
        if create is None or make_parameters is None:
            raise BenchError(
                f"the peer needs cv2.TrackerNano, OpenCV 4.7 or later; this is {cv2.__version__}"
            )
        files = [folder / name for name in PEER_FILES]
        for path in files:
            if not path.is_file():
                raise BenchError(f"{path}: no such file; the peer needs {' and '.join(PEER_FILES)}")
        parameters = make_parameters()
        parameters.backbone, parameters.neckhead = map(str, files)
        self._folder = folder
        with _one_line_errors(folder), quiet_opencv():
            self._tracker: Any = create(parameters)

    def run(self, images: Sequence[np.ndarray], box: Box) -> Timings:
        """One pass from a new start."""
        seconds = []
        cpu_s = time.process_time()
        with _one_line_errors(self._folder):
            self._tracker.init(images[0], tuple(round(value) for value in box.as_xywh()))
            for image in images[1:]:
                start = time.perf_counter()
                self._tracker.update(image)
                seconds.append(time.perf_counter() - start)
        cpu_s = time.process_time() - cpu_s
        return Timings(np.array(seconds), cpu_s / len(seconds))


@contextmanager
def _one_line_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except cv2.error as error:
        reason = str(error).strip().splitlines()[0]
        raise BenchError(f"{folder}: TrackerNano cannot run ({reason})") from None
