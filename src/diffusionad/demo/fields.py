"""Scalar fields on a square canvas: soft steps, blur, random clouds, enlarging and shrinking."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

__all__ = ["Field", "blurred", "clouds", "halved", "resized", "soft_step"]

Field = NDArray[np.float32]
"""[N, N] float32, one value per canvas pixel."""


def soft_step(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth (cubic) between. Any shape; `low` > `high` falls instead of rising."""
    share = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    return cast("Field", share * share * (3 - 2 * share))


def resized(field: Field, count: int) -> Field:
    """[M, M] to [count, count], bicubic."""
    picture = PillowImage.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(picture.resize((count, count), PillowImage.Resampling.BICUBIC), np.float32)


def halved(field: Field) -> Field:
    """[2N, 2N] to [N, N], the mean of every 2 x 2 block: light on one camera pixel."""
    pairs = field[0::2] + field[1::2]
    return cast("Field", (pairs[:, 0::2] + pairs[:, 1::2]) * np.float32(0.25))


def blurred(field: Field, sigma: float) -> Field:
    """Gaussian blur along the last two axes, `sigma` in pixels, edges repeated. [..., N, M] of any leading shape."""
    reach = max(1, round(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(reach + 1) / max(sigma, 1e-3)) ** 2)
    weights = (weights / (weights[0] + 2 * weights[1:].sum())).astype(np.float32)
    for axis in (-2, -1):
        count = field.shape[axis]
        widths = [(0, 0)] * field.ndim
        widths[axis] = (reach, reach)
        padded = np.pad(field, widths, mode="edge")

        def shifted(by: int, padded: Field = padded, axis: int = axis, count: int = count) -> Field:
            taken = slice(reach + by, reach + by + count)
            return padded[..., taken, :] if axis == -2 else padded[..., taken]

        field = field * weights[0]
        both = np.empty_like(field)
        for offset in range(1, reach + 1):
            np.add(shifted(-offset), shifted(offset), out=both)
            both *= weights[offset]
            field += both
    return field


def clouds(rng: np.random.Generator, count: int, cells: int, octaves: int = 3) -> Field:
    """[count, count] random cloud of about unit variance; the coarsest structure has `cells` cells along a side."""
    total = np.zeros((count, count), np.float32)
    power = 0.0
    for octave in range(octaves):
        across = min(cells << octave, count)
        weight = 0.55**octave
        total += np.float32(weight) * resized(rng.standard_normal((across, across), np.float32), count)
        power += weight**2
    return cast("Field", total * np.float32(1.5 / np.sqrt(power)))
