"""Textures that fill defects: pictures from a folder, or drawn here so that nothing need be downloaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusionad.synthesis.operations import Recipe
from diffusionad.synthesis.perlin import perlin

__all__ = ["Textures", "draw_texture"]

Bytes = NDArray[np.uint8]


class Textures:
    """A supply of textures.

    Args:
        pictures: [H, W, 3] uint8 each, any size of at least 8 pixels a side; empty means drawn textures only.
        recipe: how whatever fills a defect, textures or the picture itself, is made inconsistent.
    """

    def __init__(self, pictures: Sequence[Bytes] = (), recipe: Recipe = Recipe()) -> None:  # noqa: B008  (frozen)
        self._pictures = list(pictures)
        self.recipe = recipe

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Bytes:
        """One texture [H, W, 3] uint8: a random cut of a random picture, or a drawn one."""
        if not self._pictures:
            return draw_texture(rng, size)
        picture = self._pictures[int(rng.integers(len(self._pictures)))]
        tall, wide = (int(side * rng.uniform(0.4, 1.0)) for side in picture.shape[:2])
        top, left = int(rng.integers(picture.shape[0] - tall + 1)), int(rng.integers(picture.shape[1] - wide + 1))
        cut = Image.fromarray(picture[top : top + tall, left : left + wide])
        return np.asarray(cut.resize(size[::-1], Image.Resampling.BILINEAR), dtype=np.uint8)


def draw_texture(rng: np.random.Generator, size: tuple[int, int]) -> Bytes:
    """A procedural texture [H, W, 3] uint8: octaves of noise, folded into veins, bands, checks or grain, coloured."""
    field = sum(
        perlin(rng, size, (int(cells), int(cells * rng.uniform(0.5, 2)) or 1), float(rng.uniform(-90, 90)))
        / (octave + 1)
        for octave, cells in enumerate(rng.choice([2, 4, 8, 16, 32], size=int(rng.integers(1, 4)), replace=False))
    )
    field = np.asarray(field, dtype=np.float32)
    kind = int(rng.integers(5))
    if kind == 1:  # veins
        field = 1 - 2 * np.abs(field)
    elif kind == 2:  # bands, bent by the noise
        field = np.sin(_ramp(rng, size) * float(rng.uniform(10, 80)) + 3 * field)
    elif kind == 3:  # checks
        field = np.sign(np.sin(_ramp(rng, size) * 40) * np.sin(_ramp(rng, size) * 40)) + 0.3 * field
    elif kind == 4:  # grain
        field = field + rng.standard_normal(size, dtype=np.float32) * float(rng.uniform(0.2, 1.0))
    low, high = float(field.min()), float(field.max())
    level = (field - low) / max(high - low, 1e-6)
    dark, light = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    return np.asarray(dark + level[..., None] * (light - dark), dtype=np.uint8)


def _ramp(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    angle = float(rng.uniform(0, np.pi))
    y, x = np.linspace(0, 1, size[0], dtype=np.float32), np.linspace(0, 1, size[1], dtype=np.float32)
    return np.asarray(np.cos(angle) * x[None, :] + np.sin(angle) * y[:, None], dtype=np.float32)
