"""Perlin noise and the masks cut from it (METHOD section 4: paper Eq. 9 and Fig. 4; Perlin 1985)."""

from __future__ import annotations

import math

import numpy as np

from diffusionad.structures import BoolMap, FloatMap

__all__ = ["perlin", "perlin_mask"]


def perlin(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], degrees: float = 0.0) -> FloatMap:
    """Gradient noise [H, W], about -1..1, zero mean.

    Args:
        rng: source of the lattice's gradients.
        size: (H, W) pixels.
        cells: lattice cells along (height, width), 1..32; more = finer.
        degrees: rotation of the lattice about the middle of the picture.
    """
    height, width = size
    angle = math.radians(degrees)
    y = (np.arange(height, dtype=np.float32) + 0.5) / height - 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5
    v = (x[None, :] * math.sin(angle) + y[:, None] * math.cos(angle)) * cells[0]
    u = (x[None, :] * math.cos(angle) - y[:, None] * math.sin(angle)) * cells[1]
    reach_v, reach_u = math.ceil(cells[0] * 0.75) + 1, math.ceil(cells[1] * 0.75) + 1
    phases = rng.uniform(0, 2 * math.pi, (2 * reach_v + 1, 2 * reach_u + 1)).astype(np.float32)
    gradient_u, gradient_v = np.cos(phases), np.sin(phases)
    row, column = np.floor(v).astype(np.intp), np.floor(u).astype(np.intp)
    dv, du = (v - row).astype(np.float32), (u - column).astype(np.float32)
    row, column = row + reach_v, column + reach_u

    def corner(down: int, right: int) -> FloatMap:
        at = (row + down, column + right)
        return np.asarray(gradient_u[at] * (du - right) + gradient_v[at] * (dv - down), dtype=np.float32)

    fade_u, fade_v = _fade(du), _fade(dv)
    top = corner(0, 0) + fade_u * (corner(0, 1) - corner(0, 0))
    bottom = corner(1, 0) + fade_u * (corner(1, 1) - corner(1, 0))
    return np.asarray(math.sqrt(2) * (top + fade_v * (bottom - top)), dtype=np.float32)


def perlin_mask(rng: np.random.Generator, size: tuple[int, int], largest_exponent: int = 5) -> BoolMap:
    """[H, W] bool: noise of 2^U{0..largest_exponent} cells a side, rotated by U(-90, 90) degrees, above 0.5.

    May be empty; the caller redraws. Typical area 1 to 12 % of the picture.

    Paper: Fig. 4, mask
    """
    cells = (2 ** int(rng.integers(largest_exponent + 1)), 2 ** int(rng.integers(largest_exponent + 1)))
    return perlin(rng, size, cells, float(rng.uniform(-90, 90))) > 0.5


def _fade(along: FloatMap) -> FloatMap:
    return along**3 * (along * (along * 6 - 15) + 10)
