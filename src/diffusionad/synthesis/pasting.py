"""Real defects as a source: the masked part of one, turned, scaled and blended into a normal picture.

In the manner of CutPaste (Li et al. 2021, section 2), with the outline of a real defect in the place of a rectangle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusionad.structures import BoolMap, FloatMap, Image

__all__ = ["RealDefect", "paste"]

_SCALES = (0.7, 1.4)
_OPACITIES = (0.6, 1.0)
_RING = 3  # pixels around a defect whose tone is compared with that of its new place


@dataclass(frozen=True, slots=True)
class RealDefect:
    """A real defective picture at working size.

    Attributes:
        image: [C, H, W] in [-1, 1].
        true_mask: [H, W] bool, not empty; None where nobody drew it.
    """

    image: Image
    true_mask: BoolMap | None


def paste(
    rng: np.random.Generator, normal: Image, part: BoolMap, defects: Sequence[tuple[Image, BoolMap]]
) -> tuple[Image, BoolMap]:
    """Paste one of `defects`, each [C, H, W] with its mask [H, W], into `normal`, inside `part` [H, W], not empty.

    The new image and its mask, which is never empty; outside of it the image is `normal`, to the bit.

    The defect is mirrored, turned by any angle and scaled; half of the time it stays about where it was, else it goes
    to a random place of `part`; half of the time its tone is shifted as the tone around it differs between both places.
    """
    image, true_mask = defects[int(rng.integers(len(defects)))]
    rows, columns = np.nonzero(true_mask)
    held = int(rng.integers(len(rows)))
    anchor = (int(rows[held]), int(columns[held]))
    place = _place(rng, part, anchor)
    back = _inverse(rng)
    row, column = _looked_up(true_mask, anchor, place, back)
    inside = (row >= 0) & (row <= true_mask.shape[0] - 1) & (column >= 0) & (column <= true_mask.shape[1] - 1)
    row, column = np.clip(row, 0, true_mask.shape[0] - 1), np.clip(column, 0, true_mask.shape[1] - 1)
    here = true_mask[np.rint(row).astype(np.intp), np.rint(column).astype(np.intp)] & inside & part
    content = _sampled(image, row, column)
    if rng.random() < 0.5:
        content = content + _tone(normal, here) - _tone(image, true_mask)
    cover = np.float32(rng.uniform(*_OPACITIES)) * _feathered(here)
    blended = normal + cover * (content - normal)
    return np.where(here, np.clip(blended, -1, 1), normal).astype(np.float32), here


def _place(rng: np.random.Generator, part: BoolMap, anchor: tuple[int, int]) -> tuple[int, int]:
    if part[anchor] and rng.random() < 0.5:
        return anchor
    rows, columns = np.nonzero(part)
    drawn = int(rng.integers(len(rows)))
    return int(rows[drawn]), int(columns[drawn])


def _inverse(rng: np.random.Generator) -> NDArray[np.float64]:
    """[2, 2]: from an offset at the new place to the offset in the defect's own picture."""
    angle, scale = rng.uniform(0, 2 * math.pi), rng.uniform(*_SCALES)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = np.diag([1.0, -1.0 if rng.random() < 0.5 else 1.0])
    return np.asarray(mirror @ turn / scale)


def _looked_up(
    like: BoolMap, anchor: tuple[int, int], place: tuple[int, int], back: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column in the defect's picture for each pixel, [H, W] each; `place` looks at `anchor`."""
    down, right = np.arange(like.shape[0])[:, None] - place[0], np.arange(like.shape[1])[None, :] - place[1]
    row = anchor[0] + back[0, 0] * down + back[0, 1] * right
    column = anchor[1] + back[1, 0] * down + back[1, 1] * right
    return row, column


def _sampled(image: Image, row: NDArray[np.float64], column: NDArray[np.float64]) -> Image:
    """Bilinear; places lie inside the picture."""
    top, left = np.floor(row).astype(np.intp), np.floor(column).astype(np.intp)
    bottom, right = np.minimum(top + 1, image.shape[1] - 1), np.minimum(left + 1, image.shape[2] - 1)
    low, across = (row - top).astype(np.float32), (column - left).astype(np.float32)
    above = image[:, top, left] * (1 - across) + image[:, top, right] * across
    below = image[:, bottom, left] * (1 - across) + image[:, bottom, right] * across
    return np.asarray(above * (1 - low) + below * low, dtype=np.float32)


def _feathered(here: BoolMap) -> FloatMap:
    """[H, W]: 1 deep inside, down to a half at the rim, 0 outside: a soft edge that stays within the mask."""
    padded = np.pad(here, 1).astype(np.float32)
    height, width = here.shape
    around = sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3))
    return np.asarray(np.where(here, 0.5 + around / 18, 0), dtype=np.float32)


def _tone(image: Image, mask: BoolMap) -> NDArray[np.float32]:
    """Mean of the ring around a mask, [C, 1, 1]; of the whole picture where the mask leaves no ring."""
    grown = mask
    for _ in range(_RING):
        padded = np.pad(grown, 1)
        grown = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    ring = grown & ~mask
    values = image[:, ring] if ring.any() else image.reshape(image.shape[0], -1)
    return np.asarray(values.mean(axis=1)[:, None, None], dtype=np.float32)
