"""Draws a real loss and recovery:  python3 scripts/draw_loss.py OUT_FOLDER

Follows the cyclist of the demo's clip from the start of his shot, with the default model and
settings: a van hides him, the target is lost, and it is found again. Writes loss.webp (moving) for
the README and loss.jpg (six frames) for docs/losing.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from siampolar_model.geometry.box import Box
from siampolar_model.io.video import VideoReader
from siampolar_model.rendering.draw import draw
from siampolar_model.tracking.tracker import Tracker
from siampolar_ros.demo.default_clip import default_clip

_FIRST, _LAST = 76, 136
_BOX = Box.from_xywh(355, 18, 138, 250)
#: Half speed, as in the demo; the last frame stays for a second.
_FRAME_MS, _LAST_MS, _QUALITY = 80, 1000, 60
#: Tracked, half hidden, uncertain, lost, in sight again but not confirmed, found again.
_SHOWN = (76, 81, 84, 95, 107, 120)


def drawn_frames() -> dict[int, np.ndarray]:
    """uint8 (H, W, 3), BGR, with outline and label, by the frame's index in the clip."""
    tracker = Tracker.from_pretrained("siampolar_lite0", engine="onnxruntime", precision="fp32")
    drawn = {}
    with VideoReader(default_clip().path, first=_FIRST, last=_LAST) as video:
        for frame in video:
            if not drawn:
                tracker.start(frame.image, _BOX)
            targets = tracker.update(frame.image)
            drawn[frame.index] = draw(frame.image.copy(), targets)
    return drawn


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    drawn = drawn_frames()
    pictures = [Image.fromarray(np.ascontiguousarray(one[..., ::-1])) for one in drawn.values()]
    times = [_FRAME_MS] * (len(pictures) - 1) + [_LAST_MS]
    options = {"duration": times, "loop": 0, "quality": _QUALITY, "method": 6}
    pictures[0].save(folder / "loss.webp", save_all=True, append_images=pictures[1:], **options)
    rows = [np.hstack([drawn[index] for index in _SHOWN[k : k + 2]]) for k in (0, 2, 4)]
    picture = cv2.resize(np.vstack(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(folder / "loss.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 82]):
        print(f"error: {folder / 'loss.jpg'} cannot be written", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
