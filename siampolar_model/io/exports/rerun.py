"""A recording for the Rerun viewer: frames, outlines, and scores over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...rendering.draw import color_of
from ...results import Target, TargetState
from .base import FrameResult

#: JPEG quality of the frames in the recording.
_QUALITY = 85


class RerunRecording:
    """One ``.rrd`` file, which ``rerun FILE`` shows.

    Entities: ``video`` (frames), ``video/target_ID`` (outline) and ``video/target_ID/box`` of every
    target that is not lost, and of every target ``confidence/target_ID``, ``score/target_ID`` and
    ``quality/target_ID``, over the timelines ``frame`` and ``time``. Where its state or its reason
    changes, ``log`` says so.

    Raises:
        ImportError: the package ``rerun-sdk`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        import rerun

        self._rerun: Any = rerun
        self._recording = rerun.RecordingStream("siampolar", recording_id=path.stem)
        self._recording.save(str(path))
        self._shown: set[int] = set()
        self._told: dict[int, str] = {}

    def write(self, frame: FrameResult) -> None:
        rerun, recording = self._rerun, self._recording
        recording.set_time("frame", sequence=frame.index)
        recording.set_time("time", duration=np.timedelta64(frame.stamp_ns, "ns"))
        if frame.image is not None:
            picture = rerun.Image(frame.image, color_model="BGR").compress(jpeg_quality=_QUALITY)
            recording.log("video", picture)
        seen = {one.id: one for one in frame.targets if one.state != TargetState.LOST}
        for id in self._shown - seen.keys():
            recording.log(f"video/target_{id}", rerun.Clear(recursive=True))
        self._shown = set(seen)
        for one in seen.values():
            self._log_target(one, frame.height, frame.width)
        for one in frame.targets:
            for name in ("confidence", "score", "quality"):
                recording.log(f"{name}/target_{one.id}", rerun.Scalars(getattr(one, name)))
            self._log_change(one)

    def _log_change(self, target: Target) -> None:
        text = f"target {target.id}: {target.state.name.lower()}"
        text += f" ({target.reason})" if target.reason else ""
        if self._told.get(target.id) != text:
            self._told[target.id] = text
            self._recording.log("log", self._rerun.TextLog(text))

    def _log_target(self, target: Target, height: int, width: int) -> None:
        blue, green, red = color_of(target.id)
        name, color = f"video/target_{target.id}", (red, green, blue)
        closed = [np.concatenate([points, points[:1]]) for points in target.contours(height, width)]
        x, y, box_width, box_height = target.box.as_xywh()
        rerun = self._rerun
        self._recording.log(name, rerun.LineStrips2D(closed, colors=[color] * len(closed)))
        box = rerun.Boxes2D(
            mins=[(x, y)], sizes=[(box_width, box_height)], colors=[color], labels=[target.label]
        )
        self._recording.log(f"{name}/box", box)

    def close(self) -> None:
        self._recording.flush()
        self._recording.disconnect()
