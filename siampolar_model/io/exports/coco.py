"""COCO's JSON for videos: one annotation for each target and frame, masks as run lengths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...geometry.rle import encode_rle
from ...results import TargetState
from .base import FrameResult

#: What an annotation tells of its target besides its place.
FIELDS = ("state", "reason", "confidence", "score", "quality", "velocity", "predicted_box")


class CocoJson:
    """One JSON file that ``pycocotools.coco.COCO`` loads.

    Besides COCO's own fields every annotation carries ``track_id`` (the target's id) and those of
    :data:`FIELDS`, as :meth:`siampolar_model.results.Target.to_dict` gives them. Lost targets have
    no annotation on that frame. File names are ``00000.jpg`` and so on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def write(self, frame: FrameResult) -> None:
        image_id = frame.index + 1
        self._images.append(
            {
                "id": image_id,
                "file_name": f"{frame.index:05d}.jpg",
                "width": frame.width,
                "height": frame.height,
                "stamp_ns": frame.stamp_ns,
            }
        )
        for target in frame.targets:
            if target.state == TargetState.LOST:
                continue
            mask, plain = target.mask(frame.height, frame.width), target.to_dict()
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "track_id": target.id,
                    **{name: plain[name] for name in FIELDS},
                    "bbox": plain["box"],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": encode_rle(mask),
                }
            )

    def close(self) -> None:
        data = {
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": 1, "name": "target"}],
        }
        self._path.write_text(json.dumps(data) + "\n", encoding="utf-8")
