"""Image and mask files as arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from siampolar_model.errors import DatasetError, FrameError, VideoError
from siampolar_model.evaluation.pictures import check_exact
from siampolar_model.images.picture import read_bgr, read_whole
from siampolar_model.io.image_folder import image_files

from .base import LabelledImage


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder in order, see :func:`siampolar_model.io.image_folder.image_folder`.

    Raises:
        DatasetError: a file that is missing or is not a picture.
    """
    try:
        return image_files(folder)
    except VideoError as error:
        raise DatasetError(str(error)) from None


def read_image(path: Path) -> np.ndarray:
    """uint8 (H, W, 3), BGR, as stored: masks and outlines belong to the stored pixels.

    Raises:
        DatasetError: not a readable image.
    """
    try:
        return read_bgr(path)
    except FrameError as error:
        raise DatasetError(str(error)) from None


def read_labels(path: Path) -> np.ndarray:
    """Labels uint8 (H, W) of an index, grey or two-coloured image.

    By Pillow, as OpenCV replaces the indices of an index image by the colours of its palette.
    In a colour image, all that is not black is object 1.

    Raises:
        DatasetError: not a readable image, a JPEG file, more than 8 bits, or several colours
            without a palette.
    """
    try:
        data = read_whole(path)
    except FrameError as error:
        raise DatasetError(str(error)) from None
    check_exact(path, data)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            mode, pixels = opened.mode, np.array(opened)
    except Exception:  # Pillow raises almost anything on a damaged file
        raise DatasetError(f"{path}: not a readable image") from None
    if pixels.dtype not in (np.uint8, np.bool_):
        raise DatasetError(f"{path}: has {pixels.dtype} values; a mask has 8 bits")
    if pixels.ndim == 2:
        return pixels.astype(np.uint8, copy=False)
    colours = pixels[..., :1] if mode == "LA" else pixels[..., :3]
    on = colours.any(2)
    if (colours[on] != colours[on][:1]).any():
        raise DatasetError(f"{path}: has several colours; a mask is an index image or a grey one")
    return np.asarray(on, np.uint8)


def labelled(
    name: str,
    sequence: int,
    image: np.ndarray,
    labels: np.ndarray | None,
    mask_path: Path | None = None,
    categories: Mapping[int, str] | None = None,
) -> LabelledImage:
    """Put an image and its labels together.

    Raises:
        DatasetError: they differ in size; it names ``mask_path``.
    """
    if labels is None:
        return LabelledImage(name, sequence, image)
    check_same_size(image, labels.shape, mask_path)
    objects = tuple(int(v) for v in np.flatnonzero(np.bincount(labels.ravel())) if v)
    return LabelledImage(name, sequence, image, labels, objects, categories or {})


def check_same_size(image: np.ndarray, shape: tuple[int, ...], path: Path | None) -> None:
    """Raises DatasetError, which names ``path``, if a mask (height, width) does not fit."""
    if shape != image.shape[:2]:
        size, expected = ("x".join(map(str, one[1::-1])) for one in (shape, image.shape))
        raise DatasetError(f"{path}: is {size} px; its image is {expected}")
