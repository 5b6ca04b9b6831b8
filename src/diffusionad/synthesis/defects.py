"""Kinds of synthetic defect: what lies where (METHOD section 4). A table, a function each.

The first two are the paper's. The others draw what its blobs miss, thin and faint and structural damage; they work from
the picture itself, so they look like the part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from diffusionad.structures import BoolMap, FloatMap, Image
from diffusionad.synthesis.operations import augment, rearrange
from diffusionad.synthesis.perlin import perlin, perlin_mask
from diffusionad.synthesis.textures import Textures
from diffusionad.tensors import to_image, to_picture

__all__ = ["DEFECTS", "Defect"]


@dataclass(frozen=True, slots=True)
class Defect:
    """Content to lay over a picture.

    Attributes:
        content: [C, H, W] in [-1, 1].
        cover: [H, W] 0..1, where and how fully the content lies; soft at soft edges.
        opaque: the content replaces the picture whole (its own strength is drawn already).
    """

    content: Image
    cover: FloatMap
    opaque: bool = False


Maker = Callable[[np.random.Generator, Image, Textures], Defect]


def texture(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """Perlin blobs filled with an augmented texture picture (paper)."""
    content = to_image(augment(rng, textures.draw(rng, _size(image)), textures.recipe))
    return Defect(_lit(rng, content, len(image)), _blobs(rng, _size(image)))


def rearranged(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """Perlin blobs filled with the picture itself, augmented and cut into tiles laid anew (paper)."""
    content = rearrange(rng, augment(rng, to_picture(image), textures.recipe), textures.recipe.grid)
    return Defect(to_image(content), _blobs(rng, _size(image)))


def scratch(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """Thin bent lines, brighter or darker than what they cross."""
    height, width = _size(image)
    canvas = Pillow.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 4))):
        steps = int(rng.integers(6, 40))
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.02, 0.5), steps))
        stride = rng.uniform(0.005, 0.04) * (height + width)
        x = rng.uniform(0, 2 * width) + np.cumsum(np.cos(heading) * stride)
        y = rng.uniform(0, 2 * height) + np.cumsum(np.sin(heading) * stride)
        thick = max(2, round(float(rng.uniform(0.004, 0.02)) * (height + width)))
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255, width=thick, joint="curve")
    thinned = np.asarray(canvas.resize((width, height), Pillow.Resampling.BOX), dtype=np.float32)
    return Defect(_toned(rng, image), thinned / np.float32(255))


def patch(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """A piece of the picture itself laid elsewhere, turned or mirrored (CutPaste, Li et al. 2021)."""
    size = _size(image)
    shifts = [int(rng.integers(side // 8, max(side - side // 8, side // 8 + 1))) for side in size]
    content = np.roll(image, shifts, axis=(1, 2))
    if rng.random() < 0.5:
        content = content[:, :, ::-1]
    if rng.random() < 0.5:
        content = content[:, ::-1, :]
    return Defect(np.ascontiguousarray(content), _blobs(rng, size), opaque=rng.random() < 0.7)


def tone(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """A stain or faded spot: the picture's own structure, darker, lighter or tinted, with a soft edge."""
    cover = _softened(_blobs(rng, _size(image), finest=3), float(rng.uniform(0.5, 4.0)))
    return Defect(_toned(rng, image), cover)


def smear(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """The picture's own structure lost: blurred, or pulled along one direction."""
    reach = float(rng.uniform(0.01, 0.05)) * sum(_size(image)) / 2
    if rng.random() < 0.5:
        content = to_image(_blurred(to_picture(image), reach))
    else:
        turned = np.moveaxis(image, 0, -1)
        axis, pulls = int(rng.integers(2)), max(2, round(3 * reach))
        pulled = np.mean([np.roll(turned, pull, axis=axis) for pull in range(0, pulls, max(1, pulls // 8))], axis=0)
        content = np.ascontiguousarray(np.moveaxis(pulled, -1, 0), dtype=np.float32)
    return Defect(content, _blobs(rng, _size(image), finest=3), opaque=True)


def warp(rng: np.random.Generator, image: Image, textures: Textures) -> Defect:
    """Structure displaced: edges bent, chipped or swollen by a smooth displacement field."""
    height, width = _size(image)
    reach = float(rng.uniform(0.02, 0.08)) * (height + width) / 2
    cells = (int(rng.integers(2, 9)), int(rng.integers(2, 9)))
    down = perlin(rng, (height, width), cells) * reach
    right = perlin(rng, (height, width), cells) * reach
    row = np.clip(np.rint(np.arange(height)[:, None] + down), 0, height - 1).astype(np.intp)
    column = np.clip(np.rint(np.arange(width)[None, :] + right), 0, width - 1).astype(np.intp)
    return Defect(np.ascontiguousarray(image[:, row, column]), _blobs(rng, (height, width), finest=3), opaque=True)


DEFECTS: dict[str, Maker] = {
    "texture": texture,
    "rearranged": rearranged,
    "scratch": scratch,
    "patch": patch,
    "tone": tone,
    "smear": smear,
    "warp": warp,
}
"""By the name used in the settings."""


def _size(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[2]


def _blobs(rng: np.random.Generator, size: tuple[int, int], finest: int = 5) -> FloatMap:
    for _ in range(20):
        mask: BoolMap = perlin_mask(rng, size, finest)
        if mask.any():
            break
    return mask.astype(np.float32)


def _lit(rng: np.random.Generator, content: Image, channels: int) -> Image:
    """A colour texture under so many lights: its grey, brighter or darker under each; as it is with three channels."""
    if channels == 3:
        return content
    grey = content.mean(axis=0, keepdims=True)
    return np.asarray(np.clip(grey + rng.normal(0, 0.3, (channels, 1, 1)), -1, 1), dtype=np.float32)


def _blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    blur = ImageFilter.GaussianBlur(radius)
    if picture.shape[2] == 3:
        return np.asarray(Pillow.fromarray(picture).filter(blur))
    planes = [Pillow.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(picture, 2, 0)]
    return np.stack([np.asarray(plane.filter(blur)) for plane in planes], axis=2)


def _toned(rng: np.random.Generator, image: Image) -> Image:
    gain = rng.uniform(0.3, 1.7)
    tint = rng.uniform(-0.6, 0.6) + rng.normal(0, rng.choice([0.0, 0.15]), (len(image), 1, 1))
    return np.clip((image * gain + tint), -1, 1).astype(np.float32)


def _softened(cover: FloatMap, radius: float) -> FloatMap:
    soft = Pillow.fromarray((cover * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(soft, dtype=np.float32) / np.float32(255)
