"""Fails unless the demo followed its target: check_demo.py OUT_FOLDER.

At least 95 % of the lines of targets.jsonl must hold a target that is being tracked, and
tracked.mp4 must be an H.264 video with as many frames.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av

TRACKED_SHARE = 0.95


def main(folder: Path) -> int:
    lines = [json.loads(line) for line in (folder / "targets.jsonl").read_text().splitlines()]
    tracked = sum(any(t["state"] == "tracking" for t in line["targets"]) for line in lines)
    with av.open(str(folder / "tracked.mp4")) as video:
        codec = video.streams.video[0].codec_context.name
        frames = sum(1 for _ in video.decode(video=0))
    print(f"demo: {tracked} of {len(lines)} lines tracking; {frames} frames of {codec}")
    problems = []
    if not lines or tracked < TRACKED_SHARE * len(lines):
        problems.append(f"only {tracked} of {len(lines)} lines say tracking")
    if codec != "h264":
        problems.append(f"the video is {codec}, not h264")
    if frames < TRACKED_SHARE * len(lines):
        problems.append(f"the video has {frames} frames for {len(lines)} lines")
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
