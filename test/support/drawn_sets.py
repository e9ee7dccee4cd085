"""Small data sets drawn into a folder, in the layouts of their releases."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

#: Not black, blue, green, ... in index order: who reads colours instead of indices is found out.
PALETTE = [0, 0, 0, 236, 95, 103, 0, 0, 128, *range(9, 256), *range(256), *range(256)]
HEIGHT, WIDTH = 48, 64


def frame(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Image BGR and labels: object 2 is a disc moving right; object 1 appears on frame 1."""
    rng = np.random.default_rng(index)
    image = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(labels, (20 + 3 * index, 26), 10, 2, cv2.FILLED)
    if index:
        cv2.rectangle(labels, (44, 4), (56, 14), 1, cv2.FILLED)
    image[labels == 2] = (20, 200, 240)
    image[labels == 1] = (200, 40, 20)
    return image, labels


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_index(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette(PALETTE)
    picture.putdata(labels.ravel().tolist())
    picture.save(path)


def write_davis(root: Path, lists: dict[str, list[str]], *, year: int = 2017) -> Path:
    """``lists`` maps a split to its sequences, of three frames each."""
    for split, names in lists.items():
        folder = root / "ImageSets" / ("2017" if year == 2017 else "480p")
        folder.mkdir(parents=True, exist_ok=True)
        lines = names if year == 2017 else [
            f"/JPEGImages/480p/{name}/{i:05d}.jpg /Annotations/480p/{name}/{i:05d}.png "
            for name in names for i in range(3)
        ]  # fmt: skip
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
        for name in names:
            for i in range(3):
                image, labels = frame(i)
                write_image(root / f"JPEGImages/480p/{name}/{i:05d}.jpg", image)
                mask = root / f"Annotations/480p/{name}/{i:05d}.png"
                if year == 2017:
                    write_index(mask, labels)
                else:
                    write_image(mask, np.where(labels > 0, np.uint8(255), np.uint8(0)))
    return root


def write_youtube_vos(root: Path, names: list[str]) -> Path:
    """Three annotated frames a video, every fifth; objects 1 (cat) and 2 (the video's class)."""
    videos = {}
    for k, name in enumerate(names):
        stems = [f"{5 * i:05d}" for i in range(3)]
        for i, stem in enumerate(stems):
            image, labels = frame(i)
            write_image(root / f"train/JPEGImages/{name}/{stem}.jpg", image)
            write_index(root / f"train/Annotations/{name}/{stem}.png", labels)
        second = ("ape", "dog")[k % 2]
        videos[name] = {
            "objects": {
                "1": {"category": "cat", "frames": stems[1:]},
                "2": {"category": second, "frames": stems},
            }
        }
    (root / "train" / "meta.json").write_text(json.dumps({"videos": videos}))
    return root


def write_segtrack(root: Path) -> Path:
    """SegTrack: names of images and masks differ, and count in different ways."""
    for i in range(11):
        image, labels = frame(i)
        grey = np.where(labels == 2, np.uint8(255), np.uint8(0))
        write_image(root / f"girl/5117-8_701{61 + i}.bmp", image)
        write_image(root / f"girl/ground-truth/{i}.bmp", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        write_image(root / f"penguin/penguin_{i:05d}.bmp", image)
        write_image(root / f"penguin/ground_truth/penguin_{i:05d}.png", grey)
    return root


def write_segtrack_v2(root: Path) -> Path:
    """SegTrack v2: one sequence with one object, one with two in folders of their own."""
    for i in range(3):
        image, labels = frame(i)
        one, two = (np.where(labels == v, np.uint8(255), np.uint8(0)) for v in (1, 2))
        # Edges are soft there.
        two = cv2.GaussianBlur(two, (0, 0), 0.8)
        write_image(root / f"JPEGImages/frog/frog_{i:05d}.png", image)
        write_image(root / f"GroundTruth/frog/frog_{i:05d}.png", two)
        write_image(root / f"JPEGImages/bmx/bmx_{6668 + i:05d}.bmp", image)
        write_image(root / f"GroundTruth/bmx/1/bmx_{6668 + i:05d}.png", one)
        write_image(root / f"GroundTruth/bmx/2/bmx_{6668 + i:05d}.png", two)
    return root


def write_photos(root: Path, numbers: list[int], *, bare: tuple[int, ...] = ()) -> Path:
    """Photographs of two objects each; those in ``bare`` have no mask."""
    for number in numbers:
        image, labels = frame(1 + number % 3)
        write_image(root / f"JPEGImages/photos/{number:05d}.jpg", image)
        if number not in bare:
            write_image(root / f"Annotations/photos/{number:05d}.png", labels)
    return root
