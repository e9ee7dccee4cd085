"""Any instance set in COCO's JSON format (Lin et al., ECCV 2014, arXiv 1405.0312)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from siampolar_model.errors import DatasetError

from .base import LabelledImage, Reader
from .coco_outline import OutlineError, checked_outline
from .decode import check_same_size, labelled, read_image
from .holdout import empty_side, held_out

LAYOUT = "a JSON file with images, annotations and categories, and the folder of the images"


class Coco(Reader):
    """One side of a set of photographs; crowds are left out.

    So are annotations without an outline or with a damaged one (``coco_outline.py``), with a
    warning that tells how many and names the first: pycocotools takes numbers as they come, and
    ends the process on some.

    Segmentations stay packed as JSON text in one buffer, about the size of the file: a million of
    them as Python objects would take gigabytes, in every worker.

    Args:
        annotations: the JSON file.
        images: the folder that its file names start from.
        validation: the side, by image id (see ``holdout.held_out``); None: all.

    Raises:
        DatasetError: a file or folder is missing, is not COCO JSON, or has no instances.
    """

    def __init__(
        self, annotations: str | Path, images: str | Path, *, validation: bool | None = False
    ) -> None:
        self.root = Path(images)
        if not self.root.is_dir():
            raise DatasetError(f"{images}: no such folder; expected {LAYOUT}")
        path = Path(annotations)
        if not path.is_file():
            raise DatasetError(f"{path}: no such file; expected {LAYOUT}")
        try:
            data = json.loads(path.read_bytes())
            self._load(data, path, validation)
        except DatasetError:
            raise
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise DatasetError(
                f"{path}: damaged ({type(error).__name__}: {error}); expected {LAYOUT}"
            ) from None

    def _load(self, data: dict[str, Any], path: Path, validation: bool | None) -> None:
        everything = sorted(data["images"], key=lambda one: one["id"])
        kept = [o for o in everything if validation is None or held_out(o["id"]) == validation]
        if everything and not kept:
            raise empty_side(path, len(everything), bool(validation))
        self._names = [str(one["file_name"]) for one in kept]
        self._sizes = np.array([(one["height"], one["width"]) for one in kept], np.int32)
        self.categories = {int(one["id"]): str(one["name"]) for one in data["categories"]}
        known = {one["id"] for one in everything}
        if len(known) < len(everything):
            ids = [one["id"] for one in everything]
            twice = next(a for a, b in pairwise(ids) if a == b)
            raise DatasetError(f"{path}: image {twice} is listed {ids.count(twice)} times")
        row = {one["id"]: index for index, one in enumerate(kept)}
        size = {one["id"]: (int(one["height"]), int(one["width"])) for one in kept}
        owners, classes, texts = [], [], []
        damaged: list[str] = []
        without: list[Any] = []
        for one in data["annotations"]:
            if one["image_id"] not in known or one["category_id"] not in self.categories:
                raise DatasetError(
                    f"{path}: annotation {one['id']} is of no known image or category"
                )
            if one.get("iscrowd") or one["image_id"] not in row:
                continue
            try:
                outline = checked_outline(one.get("segmentation"), *size[one["image_id"]])
            except OutlineError as error:
                damaged.append(f"annotation {one['id']}: {error}")
                continue
            if outline is None:
                without.append(one["id"])
                continue
            owners.append(row[one["image_id"]])
            classes.append(one["category_id"])
            texts.append(json.dumps(outline, separators=(",", ":")).encode())
        if not texts:
            reason = f" ({len(damaged)} are damaged; {damaged[0]})" if damaged else ""
            raise DatasetError(f"{path}: no instances with an outline{reason}; expected {LAYOUT}")
        if damaged:
            warnings.warn(
                f"{path}: {len(damaged)} damaged annotations are left out; {damaged[0]}",
                stacklevel=3,
            )
        if without:
            warnings.warn(
                f"{path}: {len(without)} annotations without an outline are left out; the first is "
                f"annotation {without[0]}",
                stacklevel=3,
            )
        order = np.argsort(np.array(owners), kind="stable")
        self._text = b"".join(texts[i] for i in order)
        self._ends = np.cumsum([len(texts[i]) for i in order])
        self._class = np.array(classes, np.int32)[order]
        self._owner = np.array(owners, np.int32)[order]
        self._annotated = np.unique(self._owner)
        pairs = np.unique(np.stack([self._class, self._owner], 1), axis=0)
        self._by_category = {
            self.categories[int(c)]: pairs[pairs[:, 0] == c, 1] for c in np.unique(pairs[:, 0])
        }

    def __len__(self) -> int:
        return len(self._names)

    def name(self, sequence: int) -> str:
        return self._names[sequence]

    @property
    def annotated(self) -> Sequence[int]:
        return self._annotated  # type: ignore[return-value]

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        """Where instances overlap, the smaller one is in front."""
        path = self.root / self._names[sequence]
        image = read_image(path)
        height, width = (int(v) for v in self._sizes[sequence])
        check_same_size(image, (height, width), path)
        first, last = np.searchsorted(self._owner, [sequence, sequence + 1])
        if first == last:
            return labelled(self.name(sequence), sequence, image, None)
        masks = [self._mask(i, height, width) for i in range(first, last)]
        labels = np.zeros((height, width), np.uint16)
        for value in np.argsort([-int(mask.sum()) for mask in masks], kind="stable"):
            labels[masks[value] > 0] = value + 1
        categories = {
            value + 1: self.categories[int(self._class[i])]
            for value, i in enumerate(range(first, last))
        }
        return labelled(self.name(sequence), sequence, image, labels, path, categories)

    def _mask(self, annotation: int, height: int, width: int) -> np.ndarray:
        """uint8 (height, width), 1 inside one annotation's polygons or run lengths."""
        # Reads the compressed run lengths of COCO's C code. Other data sets go without it.
        from pycocotools import mask as coco_mask

        start = int(self._ends[annotation - 1]) if annotation else 0
        parts = json.loads(self._text[start : self._ends[annotation]])
        try:
            if isinstance(parts, list):
                runs = coco_mask.merge(coco_mask.frPyObjects(parts, height, width))
            elif isinstance(parts["counts"], list):
                runs = coco_mask.frPyObjects(parts, height, width)
            else:
                runs = parts
            mask: np.ndarray = coco_mask.decode(runs)
        except Exception as error:  # pycocotools raises Exception itself
            name = self._names[int(self._owner[annotation])]
            raise DatasetError(f"{name}: its segmentation is damaged ({error})") from None
        if mask.shape != (height, width):
            name = self._names[int(self._owner[annotation])]
            raise DatasetError(f"{name}: its segmentation is not of {width}x{height} px")
        return mask

    def similar(self, image: LabelledImage, value: int) -> Sequence[int]:
        found = self._by_category.get(image.categories.get(value, ""), ())
        return found  # type: ignore[return-value]
