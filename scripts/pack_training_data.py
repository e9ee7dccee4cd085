"""Packs training data into one file that is small enough to hand to a rented GPU.

    python scripts/pack_training_data.py OUT.tar --photos FOLDER [FOLDER ...] [--davis FOLDER]
        [--limit-mb 64] [--side 432] [--frame-side 576] [--every 2]

Photographs and frames (layouts: docs/data.md) are scaled down to a longest side of ``--side`` and
``--frame-side`` pixels and become WebP, half the size of JPEG. An object stays as large as a search
crop shows it: in a photograph it fills more of the image than in a frame. Of a video, every
``--every``-th frame is taken. What exceeds the limit is left out evenly and counted.
train_packed.py trains with it.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

_WEBP_QUALITY = 75
_BLOCK = 512
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, nargs="+", default=[], metavar="FOLDER")
    parser.add_argument("--davis", type=Path, metavar="FOLDER")
    parser.add_argument("--limit-mb", type=float, default=64.0, help="megabytes of 10^6 bytes")
    parser.add_argument("--side", type=int, default=432, help="of a photograph, pixels")
    parser.add_argument("--frame-side", type=int, default=576, help="of a video's frame, pixels")
    parser.add_argument("--every", type=int, default=2, help="of a video's frames")
    options = parser.parse_args()
    files = list(pairs_of(options.photos, options.davis, options.every))
    if not files:
        parser.error("nothing to pack: give --photos or --davis with images and masks in them")
    limit = options.limit_mb * 1e6
    packed, lacking = 0, 0
    with tarfile.open(options.out, "w") as tar:
        # In steps of the golden section, so that a limit leaves out some of every folder.
        order = sorted(range(len(files)), key=lambda index: index * 0.6180339887 % 1)
        size = 0.0
        for index in order:
            image, mask, name = files[index]
            side = options.frame_side if name.startswith("davis/") else options.side
            parts = list(encoded(image, mask, name, side))
            # A block for each header, whole blocks for each file, and up to 22 at the end.
            room = sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for _, data in parts)
            if size + room > limit - 22 * _BLOCK:
                lacking += 1
                continue
            size += room
            packed += 1
            for member, data in parts:
                entry = tarfile.TarInfo(member)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    print(
        f"{options.out}: {packed} images with masks, {options.out.stat().st_size / 1e6:.1f} MB; "
        f"{lacking} did not fit into {options.limit_mb:g} MB"
    )
    return 0


def pairs_of(
    photos: list[Path], davis: Path | None, every: int
) -> Iterator[tuple[Path, Path | None, str]]:
    """Image, mask, and the name in the pack without its ending; no mask: background."""
    for number, root in enumerate(photos):
        for image in pictures(root / "JPEGImages" / "photos"):
            mask = root / "Annotations" / "photos" / f"{image.stem}.png"
            yield image, mask if mask.is_file() else None, f"photos{number}/photos/{image.stem}"
    if davis is None:
        return
    for folder in sorted((davis / "JPEGImages" / "480p").glob("*")):
        for image in pictures(folder)[::every]:
            mask = davis / "Annotations" / "480p" / folder.name / f"{image.stem}.png"
            if mask.is_file():
                yield image, mask, f"davis/480p/{folder.name}/{image.stem}"


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.*") if path.suffix.lower() in _SUFFIXES)


def encoded(image: Path, mask: Path | None, name: str, side: int) -> Iterator[tuple[str, bytes]]:
    """The members of the pack for one image: WebP and PNG, scaled down."""
    set_name, rest = name.split("/", 1)
    picture = cv2.imread(str(image), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{image}: no image that can be read")
    scale = min(1.0, side / max(picture.shape[:2]))
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    yield f"{set_name}/JPEGImages/{rest}.webp", _encode(".webp", small, quality)
    if mask is not None:
        # Index images keep their indices; OpenCV would give the palette's colours.
        from PIL import Image

        with Image.open(mask) as opened:
            labels = np.asarray(opened)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        yield f"{set_name}/Annotations/{rest}.png", _encode(".png", labels, [])


def _encode(suffix: str, image: np.ndarray, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, image, options)
    assert done
    return data.tobytes()


if __name__ == "__main__":
    sys.exit(main())
