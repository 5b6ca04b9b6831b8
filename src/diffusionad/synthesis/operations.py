"""Operations that turn a picture into the content of a defect (METHOD section 4; v1 names seven, the code ten).

Pictures here are [H, W, C] uint8: what fills a defect need not keep sixteen bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

__all__ = ["OPERATIONS", "Recipe", "augment", "rearrange"]

Bytes = NDArray[np.uint8]
Operation = Callable[[np.random.Generator, Image.Image], Image.Image]


def _gamma(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    power = float(rng.uniform(0.5, 2.0))
    return picture.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)


def _hue(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turn, gain = int(rng.integers(-32, 33)), float(rng.uniform(0.5, 1.5))
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    saturation = saturation.point([min(255, round(level * gain)) for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


OPERATIONS: dict[str, Operation] = {
    "equalize": lambda _, picture: ImageOps.equalize(picture),
    "sharpness": lambda rng, picture: ImageEnhance.Sharpness(picture).enhance(float(rng.uniform(0.0, 3.0))),
    "auto_contrast": lambda rng, picture: ImageOps.autocontrast(picture, cutoff=float(rng.uniform(0, 10))),
    "solarize": lambda rng, picture: ImageOps.solarize(picture, int(rng.integers(32, 129))),
    "posterize": lambda rng, picture: ImageOps.posterize(picture, int(rng.integers(2, 6))),
    "invert": lambda _, picture: ImageOps.invert(picture),
    "gamma": _gamma,
    "brightness": lambda rng, picture: ImageEnhance.Brightness(picture).enhance(float(rng.uniform(0.5, 1.5))),
    "hue": _hue,
    "rotate": lambda rng, picture: picture.rotate(float(rng.uniform(-45, 45)), Image.Resampling.BILINEAR),
}
"""By name; each draws its own strength."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How content is made inconsistent; by default as in the authors' code.

    Attributes:
        operations: names of `OPERATIONS` to choose from; none: all ten.
        count: how many different ones are applied; v1: two of seven, the code: three of ten.
        grid: tiles a side when the picture itself is rearranged.
    """

    operations: Sequence[str] = ()
    count: int = 3
    grid: int = 8


def augment(rng: np.random.Generator, picture: Bytes, recipe: Recipe = Recipe()) -> Bytes:
    """Apply `recipe.count` different operations, chosen by chance, to [H, W, C] uint8.

    Operations are for colours, so where there are not three channels each is changed as a grey picture, all by the same
    draws: under every light the same happens.

    Paper: Sec. 3.3, augmentations
    """
    drawn = rng.choice(sorted(recipe.operations or OPERATIONS), size=recipe.count, replace=False)
    if picture.shape[2] == 3:
        return _changed(rng, picture, drawn)
    seed = int(rng.integers(2**32))
    colours = [np.repeat(picture[:, :, channel, None], 3, axis=2) for channel in range(picture.shape[2])]
    return np.stack([_changed(np.random.default_rng(seed), one, drawn)[:, :, 0] for one in colours], axis=2)


def _changed(rng: np.random.Generator, picture: Bytes, drawn: NDArray[np.str_]) -> Bytes:
    changed = Image.fromarray(picture)
    for name in drawn:
        changed = OPERATIONS[str(name)](rng, changed)
    return np.asarray(changed, dtype=np.uint8)


def rearrange(rng: np.random.Generator, picture: Bytes, grid: int = 8) -> Bytes:
    """Cut [H, W, C] into grid x grid tiles and lay them in a drawn order; what does not divide evenly stays.

    Paper: Sec. 3.3, rearrangement
    """
    height, width, channels = picture.shape
    tall, wide = height // grid, width // grid
    if tall == 0 or wide == 0:
        return picture
    tiles = picture[: tall * grid, : wide * grid].reshape(grid, tall, grid, wide, channels).transpose(0, 2, 1, 3, 4)
    shuffled = tiles.reshape(grid * grid, tall, wide, channels)[rng.permutation(grid * grid)]
    laid = shuffled.reshape(grid, grid, tall, wide, channels).transpose(0, 2, 1, 3, 4)
    result = picture.copy()
    result[: tall * grid, : wide * grid] = laid.reshape(tall * grid, wide * grid, channels)
    return result
