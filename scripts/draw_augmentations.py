"""Draws docs/augmentations.md and its pictures:  python3 scripts/draw_augmentations.py

From free photographs that come with scikit-image: coffee, cat, horse, brick, grass and gravel (all
CC0), astronaut and rocket (public domain).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from siampolar_model.network.config import NetworkConfig
from siampolar_training.data.augment.compose import blend, soften
from siampolar_training.data.photometry import PhotometrySettings
from siampolar_training.data.preview import draw_search, draw_template
from siampolar_training.data.readers.base import LabelledImage, Reader
from siampolar_training.data.synthetic_pairs import SyntheticPairs, SyntheticSettings

PAGE = Path("docs/augmentations.md")
PICTURES = Path("docs/images/augmentations")
_TILE_PX, _COLUMNS, _QUALITY = 150, 5, 78
#: Side of a photograph, and the longer side of the object in it.
_SCENE_PX, _OBJECT_PX = 900, 240
#: Gives a fair share of each object.
_SEED = 47

_HEAD = """\
# Augmentations

How a synthetic pair turns one photograph into a template and a search crop that differ as two
frames of a video do. Below, one change at a time, on free photographs; training draws them all
together. The columns of all pictures start from the same five draws, so that they can be compared
with the first one, where nothing changes; the outline of the target is green, the box of the best
cell yellow, its polygon red. The strengths are stronger than the defaults where those would hardly
be seen in print.

`siampolar data preview CONFIG OUT.png` draws such a sheet of what a configuration really gives.
The settings stand under `data.synthetic` and `data.photometry`; this page is written by
`scripts/draw_augmentations.py` from free photographs of scikit-image.
"""


@dataclass(frozen=True)
class Row:
    """One picture: everything off but what is named; with the templates above, if they matter."""

    name: str
    text: str
    synthetic: dict[str, float] = field(default_factory=dict)
    photometry: dict[str, float] = field(default_factory=dict)
    templates: bool = False


ROWS = (
    Row("nothing", "The target in the middle, at its nominal size."),
    Row(
        "shift and scale",
        "The tracker's last position and size were off: `shift_sigma`, `log_scale`.",
        {"shift_sigma": 0.1, "log_scale": 0.35},
    ),
    Row(
        "affine motion",
        "Rotation, shear and aspect: `rotation_sigma_rad`, `shear`, `log_aspect`.",
        {"rotation_sigma_rad": 0.3, "shear": 0.2, "log_aspect": 0.2},
    ),
    Row(
        "turned",
        "One view alone is mirrored, template (above) or search crop: `turned`.",
        {"turned": 0.6},
        templates=True,
    ),
    Row(
        "template",
        "The template (above), too, is a changed view, not the photograph as it is, so that nobody "
        "learns the templates' outlines by heart: `template`.",
        {"template": 1, "rotation_sigma_rad": 0.3, "background": 0.6, "distractor": 0.5},
        templates=True,
    ),
    Row("perspective", "The object's plane tilts: `tilt`.", {"tilt": 1, "tilt_sigma": 0.25}),
    Row("non-rigid motion", "A smooth field bends it: `bend`.", {"bend": 1, "bend_sigma": 0.03}),
    Row(
        "background exchange",
        "A part of another photograph begins a little beyond the object, so that its outline is as "
        "photographed: `background`.",
        {"background": 1},
    ),
    Row(
        "cut out",
        "Or right at the object, behind softened edges, sometimes with the object blurred by its "
        "own motion: `cut_out`, `swift`. Not always: a seam along the outline gives it away.",
        {"background": 1, "cut_out": 1, "swift": 0.4},
    ),
    Row(
        "whole photographs",
        "Or nothing is exchanged, and where the photograph ends the camera's image ends: `whole`.",
        {"whole": 1, "log_scale": 0.35, "rotation_sigma_rad": 0.3},
    ),
    Row(
        "distractors",
        "Other objects behind the target, by `similar` most likely of its class: `distractor`.",
        {"distractor": 1},
    ),
    Row(
        "distractors of like colour",
        "They take on the target's mean colour: `recolour`.",
        {"distractor": 1, "recolour": 1},
    ),
    Row(
        "companions",
        "The target is two objects, as a rider and his horse: another one is put next to it "
        "(`companion`), or it takes in one that touches it on its photograph (`joined`).",
        {"companion": 1},
        templates=True,
    ),
    Row(
        "occluders",
        "Other objects in front; at least `min_visible` of the target is left: `occluder`.",
        {"occluder": 1, "min_visible": 0.55},
    ),
    Row(
        "beams and foliage",
        "Occluders that are no objects: `clutter`.",
        {"clutter": 1, "min_visible": 0.55},
    ),
    Row(
        "truncation",
        "The border of the camera's image, in its colour in the tracker's crops: `border`.",
        {"border": 1, "min_visible": 0.55},
    ),
    Row(
        "colour",
        "Gamma, gain of each channel and offset, of the camera (both views) and of the moment: "
        "`colour_shared`, `colour`, `log_saturation`.",
        photometry={"colour_shared": 0.35, "colour": 0.12, "log_saturation": 0.5},
    ),
    Row(
        "light and shadow",
        "Light from one side, and straight-edged shadows: `shade`, `shadow`.",
        photometry={"shade": 1, "shadow": 0.6},
    ),
    Row("grey", "A monochrome camera, in both views: `grey`.", photometry={"grey": 1}),
    Row(
        "night",
        "Dark, pale, tinted by lamps and grainy, in both views: `night`.",
        photometry={"night": 1},
    ),
    Row("blur", "Out of focus: `blur`.", photometry={"blur": 1}),
    Row("motion blur", "The camera moves: `motion_blur`.", photometry={"motion_blur": 1}),
    Row(
        "far away",
        "The object is small in the camera's image, in both views: `far`.",
        photometry={"far": 1},
    ),
    Row("noise", "Grain: `noise`.", photometry={"noise": 1}),
    Row("compression", "JPEG artefacts: `compress`.", photometry={"compress": 1}),
    Row(
        "negative pairs",
        "Template (above) and a search crop without the target, with another object in its place "
        "or none: `negative`, `empty`.",
        {"negative": 1, "empty": 0.4, "distractor": 0.3, "similar": 0.4},
        templates=True,
    ),
)


class FreePhotos(Reader):
    """The free photographs as a data set; three objects on textures have masks."""

    def __init__(self) -> None:
        self.root = Path(data.__file__).parent
        coffee, astronaut, chelsea, rocket = (
            np.ascontiguousarray(getattr(data, name)()[..., ::-1])
            for name in ("coffee", "astronaut", "chelsea", "rocket")
        )
        silhouette = (~data.horse()).astype(np.uint8)
        height, width = silhouette.shape
        coat = cv2.resize(data.gravel(), (width, height))[..., None] / 255.0
        light = np.linspace(1.3, 0.6, height)[:, None, None]
        horse = ((0.7 + 0.6 * coat) * light * (35, 70, 125)).clip(0, 255).astype(np.uint8)
        self._images = [
            _scene("coffee", 0, coffee, _coffee_mask(), data.brick(), (110, 160, 200)),
            _scene("horse", 1, horse, silhouette, data.grass(), (80, 215, 140)),
            _scene("astronaut", 2, astronaut, _astronaut_mask(), data.gravel(), (190, 195, 200)),
            LabelledImage("chelsea", 3, chelsea),
            LabelledImage("rocket", 4, rocket),
        ]

    def __len__(self) -> int:
        return len(self._images)

    def name(self, sequence: int) -> str:
        return self._images[sequence].name

    @property
    def annotated(self) -> range:
        return range(3)

    def read(self, sequence: int, frame: int = 0) -> LabelledImage:
        return self._images[sequence]


def _scene(
    name: str,
    sequence: int,
    image: np.ndarray,
    mask: np.ndarray,
    texture: np.ndarray,
    tint_bgr: tuple[int, int, int],
) -> LabelledImage:
    """An object cut out and put in the middle of a texture, as small as in a video."""
    x, y, width, height = cv2.boundingRect(mask)
    zoom = _OBJECT_PX / max(width, height)
    size = round(width * zoom), round(height * zoom)
    part = (slice(y, y + height), slice(x, x + width))
    image, mask = (cv2.resize(a[part], size, interpolation=cv2.INTER_AREA) for a in (image, mask))
    wide = cv2.resize(texture, (_SCENE_PX,) * 2)[..., None] / 255.0
    scene = (wide * tint_bgr).clip(0, 255).astype(np.uint8)
    left, top = ((_SCENE_PX - side) // 2 for side in size)
    inside = (slice(top, top + size[1]), slice(left, left + size[0]))
    labels = np.zeros(scene.shape[:2], np.uint8)
    labels[inside] = mask
    alpha = soften(labels.astype(np.float32), 0.8)
    over = np.zeros_like(scene)
    over[inside] = image
    return LabelledImage(name, sequence, blend(scene, over, alpha), labels, (1,))


def _coffee_mask() -> np.ndarray:
    mask = np.zeros((400, 600), np.uint8)
    cv2.ellipse(mask, (279, 223), (200, 157), 0, 0, 360, 1, cv2.FILLED)
    cv2.ellipse(mask, (289, 112), (116, 94), 0, 0, 360, 1, cv2.FILLED)
    return mask


def _astronaut_mask() -> np.ndarray:
    outline = np.array([
        (152, 110), (155, 60), (180, 25), (230, 15), (285, 35), (302, 70), (300, 115), (282, 140),
        (275, 165), (298, 205), (308, 235), (350, 270), (362, 335), (320, 350), (290, 390),
        (280, 440), (278, 512), (30, 512), (20, 440), (30, 330), (50, 260), (120, 225), (112, 190),
        (130, 155), (180, 150), (182, 135), (160, 125),
    ])  # fmt: skip
    mask = np.zeros((512, 512), np.uint8)
    cv2.fillPoly(mask, [outline], 1)
    return mask


def draw(row: Row, reader: Reader) -> np.ndarray:
    """One picture, uint8 (H, W, 3) in BGR."""
    network = NetworkConfig("docs", "resnet18", "resnet18")
    # Nothing may hide at all unless a row says so: then covers go behind.
    synthetic = {**dict.fromkeys(vars(SyntheticSettings()), 0.0), "min_visible": 1.0}
    photometry = dict.fromkeys(vars(PhotometrySettings()), 0.0)
    pairs = SyntheticPairs(
        reader,
        network,
        SyntheticSettings(**{**synthetic, **row.synthetic}),
        PhotometrySettings(**{**photometry, **row.photometry}),
    )
    columns = []
    for seed in range(_COLUMNS):
        sample = pairs.sample(np.random.default_rng([_SEED, seed]))
        views = [draw_search(sample, network.stride)]
        if row.templates:
            views.insert(0, draw_template(sample["template"], sample["box_xyxy"]))
        columns.append(np.vstack([_tile(view, whole=not row.photometry) for view in views]))
    return np.hstack([
        cv2.copyMakeBorder(c, 0, 0, 0, 4, cv2.BORDER_CONSTANT, value=(255,) * 3) for c in columns
    ])[:, :-4]  # fmt: skip


def _tile(view: np.ndarray, whole: bool) -> np.ndarray:
    """The whole view, or its middle pixel by pixel, which shows what is too fine to be shrunk."""
    if whole:
        return cv2.resize(view, (_TILE_PX,) * 2, interpolation=cv2.INTER_AREA)
    first = (len(view) - _TILE_PX) // 2
    return view[first : first + _TILE_PX, first : first + _TILE_PX]


def file_name(row: Row) -> str:
    return row.name.replace(" ", "_") + ".jpg"


def page() -> str:
    """The text of docs/augmentations.md."""
    folder = PICTURES.relative_to(PAGE.parent).as_posix()
    parts = [
        f"## {row.name.capitalize()}\n{row.text}\n\n![{row.name}]({folder}/{file_name(row)})\n"
        for row in ROWS
    ]
    return "\n".join([_HEAD, *parts])


def main() -> int:
    reader = FreePhotos()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for row in ROWS:
        path = PICTURES / file_name(row)
        if not cv2.imwrite(str(path), draw(row, reader), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
            print(f"error: {path} cannot be written", file=sys.stderr)
            return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
