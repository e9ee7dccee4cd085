"""Trackers of OpenCV, to be scored next to the models; they report boxes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import BoxError, CommandError, EngineError
from ..geometry.box import Box
from ..geometry.region import Mask
from ..images.frame import Frame
from ..results import Target, TargetState

#: Files of the networks, as OpenCV's samples name them.
_NANO_FILES = ("nanotrack_backbone*.onnx", "nanotrack_head*.onnx")
_VIT_FILES = ("*vittrack*.onnx",)


class Peer:
    """A tracker of OpenCV with the interface that an evaluation needs; one for each target.

    Its outline is its box, its score 1, and it is lost where OpenCV says that it failed.

    Attributes:
        name: of the class in OpenCV.
    """

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self.name = name
        self._make = make
        self._trackers: dict[int, Any] = {}
        self._boxes: dict[int, Box] = {}

    def start(self, frame: Frame, region: Box | Mask) -> int:
        """As :meth:`siampolar_model.tracking.tracker.Tracker.start`.

        Raises:
            BoxError: OpenCV refuses the box.
            EngineError: a mask was given.
        """
        if isinstance(region, Mask):
            raise EngineError(f"{self.name} takes no mask")
        clipped = region.clip(frame.width, frame.height)
        try:
            with quiet_opencv():
                tracker = self._make()
            tracker.init(frame.to_bgr(), tuple(round(value) for value in clipped.as_xywh()))
        except cv2.error as error:
            raise BoxError(f"{self.name}: {' '.join(str(error).split())}") from None
        id = len(self._trackers) + 1
        self._trackers[id], self._boxes[id] = tracker, region
        return id

    def update(self, frame: Frame, *, elapsed_s: float = 0.0) -> list[Target]:
        """As :meth:`siampolar_model.tracking.tracker.Tracker.update`."""
        image = frame.to_bgr()
        return [self._update(id, image) for id in self._trackers]

    def reset(self) -> None:
        """Forget all targets."""
        self._trackers.clear()
        self._boxes.clear()

    def _update(self, id: int, image: np.ndarray) -> Target:
        found, xywh = self._trackers[id].update(image)
        if found:
            self._boxes[id] = Box.from_xywh(*(float(value) for value in xywh))
        box = self._boxes[id]
        state = TargetState.TRACKING if found else TargetState.LOST
        return Target(id, state, float(found), 0.0, box, box.corners_xy())


def open_peer(text: str) -> Peer:
    """A peer by ``nano:FOLDER``, ``vit:FOLDER``, ``csrt`` or ``mil``; the folder holds its network.

    Raises:
        CommandError: an unknown name, a tracker that this OpenCV does not have, or missing files.
    """
    name, _, folder = text.partition(":")
    kinds = {"nano": "TrackerNano", "vit": "TrackerVit", "csrt": "TrackerCSRT", "mil": "TrackerMIL"}
    if name not in kinds:
        raise CommandError(
            f"--peer {text}: must be nano:FOLDER, vit:FOLDER, csrt or mil; the folder holds the "
            "tracker's ONNX files"
        )
    kind = kinds[name]
    patterns = {"nano": _NANO_FILES, "vit": _VIT_FILES}.get(name, ())
    if folder and not patterns:
        raise CommandError(f"--peer {text}: {name} needs no folder")
    files = _files(text, folder, patterns)
    opencv: Any = cv2  # its stubs do not know every tracker
    create = getattr(opencv, f"{kind}_create", None)
    if create is None:
        contrib = "; opencv-contrib-python has it" if name == "csrt" else ""
        raise CommandError(f"--peer {text}: OpenCV {cv2.__version__} has no {kind}{contrib}")
    if not patterns:
        return _checked(text, Peer(kind, create))
    options = getattr(opencv, f"{kind}_Params")()
    if name == "nano":
        options.backbone, options.neckhead = files
    else:
        (options.net,) = files
    return _checked(text, Peer(kind, lambda: create(options)))


def _files(text: str, folder: str, patterns: Sequence[str]) -> list[str]:
    found = []
    for pattern in patterns:
        paths = sorted(Path(folder).glob(pattern)) if folder else []
        if len(paths) != 1:
            raise CommandError(
                f"--peer {text}: {len(paths)} files {pattern} in {folder or 'no folder'}; it must "
                "hold one"
            )
        found.append(str(paths[0]))
    return found


def _checked(text: str, peer: Peer) -> Peer:
    """Start once, so that files that OpenCV cannot read are refused before the work."""
    try:
        peer.start(Frame.from_bgr(np.zeros((200, 200, 3), np.uint8)), Box(60, 60, 120, 120))
    except (cv2.error, BoxError) as error:
        raise CommandError(f"--peer {text}: {' '.join(str(error).split())}") from None
    peer.reset()
    return peer


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV 5 from warning that its new graph engine has only one target."""
    logging = getattr(cv2.utils, "logging", None)
    if logging is None:
        yield
        return
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(before)
