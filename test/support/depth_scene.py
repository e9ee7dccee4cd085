"""Rendered scenes whose truth is known: a textured object before a wall, and a sensor's depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from siampolar_model.geometry.box import Box
from siampolar_model.geometry.position import Pinhole

WIDTH, HEIGHT = 640, 480

#: Side in pixels of the object's texture.
_TEXTURE = 120

CAMERA = Pinhole(fx=525.0, fy=525.0, cx=320.0, cy=240.0)

Sensor = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True, eq=False)
class Scene:
    """One image of the scene.

    Attributes:
        depth_m: float32 (H, W), without any error.
        mask: bool (H, W), on the object.
        outline_xy: float32 (M, 2), continuous pixels.
        box: about the outline.
        half_px: half the object's width and height.
        point_m: truth: the middle of the visible surface.
        seed: of the textures.
    """

    depth_m: np.ndarray
    mask: np.ndarray
    outline_xy: np.ndarray
    box: Box
    half_px: tuple[float, float]
    point_m: np.ndarray
    seed: int

    @cached_property
    def color(self) -> np.ndarray:
        """uint8 (H, W, 3), BGR; the object's texture moves and grows with it."""
        height, width = self.depth_m.shape
        color = texture(self.seed + 1, height, width).copy()
        scale = 2 * np.array(self.half_px) / _TEXTURE
        x, y = np.mean(self.outline_xy, axis=0) - self.half_px
        matrix = np.array([[scale[0], 0, x], [0, scale[1], y]])
        own = cv2.warpAffine(
            texture(self.seed + 2, _TEXTURE, _TEXTURE),
            matrix,
            (width, height),
            borderMode=cv2.BORDER_REPLICATE,
        )
        color[self.mask] = own[self.mask]
        return color


@lru_cache(maxsize=8)
def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Coloured blobs of several sizes, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(height, width, 3)).astype(np.float32)
    layers = [cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (2, 6, 18)]
    colour = rng.uniform(60, 200, 3)
    return np.clip(colour + 90 * sum(layers), 0, 255).astype(np.uint8)


def render(
    point_m: np.ndarray,
    size_m: tuple[float, float],
    wall_m: float,
    shape: str = "board",
    camera: Pinhole = CAMERA,
    image_size: tuple[int, int] = (WIDTH, HEIGHT),
    seed: int = 0,
) -> Scene:
    """An elliptic object at ``point_m`` before an upright wall.

    Args:
        shape: ``board``: upright and flat; ``slanted``: a board whose right side is farther away
            by as much as it is wide; ``ball``: bulges towards the camera by half its width.
        wall_m: depth of the wall.
    """
    width, height = image_size
    u = camera.fx * point_m[0] / point_m[2] + camera.cx
    v = camera.fy * point_m[1] / point_m[2] + camera.cy
    half = camera.fx * size_m[0] / point_m[2] / 2, camera.fy * size_m[1] / point_m[2] / 2
    y, x = np.mgrid[:height, :width] + 0.5
    across, down = (x - u) / half[0], (y - v) / half[1]
    mask = across**2 + down**2 < 1
    z = np.full((height, width), float(point_m[2]))
    if shape == "slanted":
        z += across * size_m[0] / 2
    elif shape == "ball":
        z -= np.sqrt(np.clip(1 - across**2 - down**2, 0, 1)) * size_m[0] / 2
    depth = np.where(mask, z, wall_m).astype(np.float32)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    outline = np.stack([u + half[0] * np.cos(angles), v + half[1] * np.sin(angles)], 1)
    outline = np.clip(outline, 0, image_size).astype(np.float32)
    box = Box(u - half[0], v - half[1], u + half[0], v + half[1]).clip(width, height)
    middle = np.median(depth[mask]) if mask.any() else np.nan
    truth = np.array([point_m[0] / point_m[2], point_m[1] / point_m[2], 1.0]) * middle
    return Scene(depth, mask, outline, box, half, truth, seed)


def stereo(depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that grows with the square of distance, smeared edges, a shadow of holes, speckle."""
    smeared = cv2.blur(depth_m, (9, 9))
    edge = np.abs(cv2.Laplacian(depth_m, cv2.CV_32F)) > 0.05
    wide = cv2.dilate(edge.astype(np.uint8), np.ones((7, 7))) > 0
    noisy = np.where(wide, smeared, depth_m)
    noise = cv2.GaussianBlur(rng.standard_normal(depth_m.shape, np.float32), (0, 0), 3) * 10
    noisy = noisy + noise * 0.002 * depth_m**2
    noisy[np.roll(edge, -14, axis=1) | np.roll(edge, -8, axis=1)] = 0
    noisy[rng.random(depth_m.shape, np.float32) < 0.15] = 0
    return noisy.astype(np.float32)


def time_of_flight(depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flying pixels between surfaces, large dropouts, NaN where nothing comes back."""
    noisy = depth_m + rng.normal(scale=0.008, size=depth_m.shape)
    edge = cv2.dilate(
        (np.abs(cv2.Laplacian(depth_m, cv2.CV_32F)) > 0.05).astype(np.uint8), np.ones((5, 5))
    )
    share = rng.random(depth_m.shape)
    flying = depth_m.min() * share + depth_m.max() * (1 - share)
    noisy = np.where(edge > 0, flying, noisy)
    height, width = depth_m.shape
    for _ in range(25):
        x, y = rng.integers(0, width), rng.integers(0, height)
        noisy[y : y + 20, x : x + 20] = np.nan
    return noisy.astype(np.float32)


def tracked_outline(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """An outline that is too large by 3 pixels and shifted by up to 3, as a tracker's is."""
    middle = np.array(scene.box.center_xy)
    outward = scene.outline_xy - middle
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1)
    return (scene.outline_xy + 3 * outward + rng.integers(-3, 4, 2)).astype(np.float32)


def random_scene(rng: np.random.Generator, shape: str = "board") -> Scene:
    """Anywhere in the image, from 0.6 m to 5 m away, the wall 0.4 m to 3 m behind."""
    z = rng.uniform(0.6, 5.0)
    point = np.array([rng.uniform(-0.3, 0.3) * z, rng.uniform(-0.25, 0.25) * z, z])
    near = min(1, z / 1.5)
    size = rng.uniform(0.15, 0.6) * near, rng.uniform(0.2, 0.8) * near
    return render(point, size, z + size[0] / 2 + rng.uniform(0.4, 3.0), shape)
