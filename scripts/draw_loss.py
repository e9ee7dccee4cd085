"""Draws a real loss and recovery:  python3 scripts/draw_loss.py OUT_FOLDER

Follows the cyclist of the demo's clip from the start of his shot, with the default model and
settings: a van hides him, the target is lost, and it is found again. Writes loss.webp (moving) for
the README and loss.jpg (six frames) for docs/losing.md, and prints the table of that page: when the
target is lost and found with other settings.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from siampolar_model.io.video import VideoFrame, VideoReader
from siampolar_model.rendering.draw import draw
from siampolar_model.results import TargetState
from siampolar_model.tracking.settings import TrackerSettings
from siampolar_model.tracking.tracker import Tracker
from siampolar_ros.demo.default_clip import Clip, moving_clip

#: Half speed, as in the demo; the last frame stays for a second.
_FRAME_MS, _LAST_MS, _QUALITY = 80, 1000, 60
#: Tracked, half hidden, uncertain, lost, in sight again but not confirmed, found again.
_SHOWN = (76, 81, 84, 95, 105, 120)
#: Settings that the table compares.
_CHANGES: tuple[dict[str, float], ...] = (
    {},
    {"recover_share": 0.85},
    {"recover_share": 1.0},
    {"recover_frames": 5},
    {"lost_frames": 20},
    {"redetect_crops": 0},
)


def drawn_frames(tracker: Tracker, clip: Clip, video: list[VideoFrame]) -> dict[int, np.ndarray]:
    """uint8 (H, W, 3), BGR, with outline and label, by the frame's index in the clip."""
    tracker.start(video[0].image, clip.box_xywh)
    return {frame.index: draw(frame.image.copy(), tracker.update(frame.image)) for frame in video}


def table(tracker: Tracker, clip: Clip, video: list[VideoFrame]) -> str:
    """Markdown: the images on which the target is reported lost and found again."""
    lines = ["| settings | lost on image | found again on image |", "|---|---|---|"]
    for change in _CHANGES:
        tracker.reset()
        tracker.settings = TrackerSettings(**change)
        tracker.start(video[0].image, clip.box_xywh)
        states = {frame.index: tracker.update(frame.image)[0].state for frame in video}
        lost = [index for index, state in states.items() if state is TargetState.LOST]
        gone = [index for index, state in states.items() if state is not TargetState.TRACKING]
        after = [index for index in states if index > max(gone)]
        name = ", ".join(f"`{key}` {value:g}" for key, value in change.items()) or "the defaults"
        found = after[0] if after else f"not until the end, {clip.last}"
        lines.append(f"| {name} | {lost[0] if lost else 'never, only uncertain'} | {found} |")
    return "\n".join(lines)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    clip = moving_clip()
    with VideoReader(clip.path, first=clip.first, last=clip.last) as reader:
        video = list(reader)
    tracker = Tracker.from_pretrained("siampolar_lite0", engine="onnxruntime", precision="fp32")
    drawn = drawn_frames(tracker, clip, video)
    pictures = [Image.fromarray(np.ascontiguousarray(one[..., ::-1])) for one in drawn.values()]
    times = [_FRAME_MS] * (len(pictures) - 1) + [_LAST_MS]
    options = {"duration": times, "loop": 0, "quality": _QUALITY, "method": 6}
    pictures[0].save(folder / "loss.webp", save_all=True, append_images=pictures[1:], **options)
    rows = [np.hstack([drawn[index] for index in _SHOWN[k : k + 2]]) for k in (0, 2, 4)]
    picture = cv2.resize(np.vstack(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(folder / "loss.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 82]):
        print(f"error: {folder / 'loss.jpg'} cannot be written", file=sys.stderr)
        return 1
    print(table(tracker, clip, video))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
