"""DAVIS and SegTrack as one COCO JSON file, for users of other tools.

After the converters of SiamPolar's authors, without their faults: files are sorted with numbers
by their value, ``first_frame`` counts from 0, objects stay apart, and masks are exact run lengths
instead of outlines that lose holes and half a pixel around.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from .readers.videos import VideoReader


def to_coco(reader: VideoReader, on_frame: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The data set as COCO describes one.

    Every sequence is a category, as there. An image also has ``first_frame``, the index in
    ``images`` of its sequence's first image (with the template), and an annotation ``instance_id``,
    the object's number in its sequence. Frames on which no object is seen are left out.

    Args:
        on_frame: called after every frame.

    Raises:
        DatasetError: a damaged mask.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for category, video in enumerate(reader.videos, 1):
        first = len(images)
        for path, masks in zip(video.images, video.masks, strict=True):
            labels = reader.read_masks(masks)
            objects = [int(v) for v in np.unique(labels) if v]
            on_frame()
            if not objects:
                continue
            images.append({
                "id": len(images) + 1,
                "file_name": path.relative_to(reader.root).as_posix(),
                "height": labels.shape[0],
                "width": labels.shape[1],
                "first_frame": first,
            })  # fmt: skip
            for value in objects:
                mask = np.asfortranarray(labels == value, np.uint8)
                runs = coco_mask.encode(mask)
                annotations.append({
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": category,
                    "instance_id": value,
                    "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()},
                    "area": int(mask.sum()),
                    "bbox": list(cv2.boundingRect(mask)),
                    "iscrowd": 0,
                })  # fmt: skip
    categories = [
        {"id": n, "name": video.name, "supercategory": video.name}
        for n, video in enumerate(reader.videos, 1)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(data: dict[str, Any], path: Path) -> None:
    """Write whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(data), encoding="utf-8")
    partial.replace(path)
