"""Noise with structure: octaves of simplex or Perlin noise instead of Gaussian noise (AnoDDPM, Wyatt et al. 2022).

Both are gradient noises: each pixel sums, over the corners of its cell, a falloff times the corner's gradient times
the way to it. Pixels and lattice stand still, only gradients are drawn, so falloffs and ways are worked out once. (The
masks of planted defects turn their lattice at every draw: `synthesis.perlin`.) AnoDDPM draws slices of simplex noise in
three dimensions and leaves their variance as it comes; here it is two dimensions and unit variance, so that sigma keeps
its meaning.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["NoiseField"]

Lattice = Literal["simplex", "perlin"]
_SKEW, _UNSKEW = (math.sqrt(3) - 1) / 2, (3 - math.sqrt(3)) / 6


class NoiseField:
    """Draws noise of zero mean and unit variance: called with (rng, N, C, H, W) like `rng.normal`.

    Every channel is drawn on its own. All octaves together are one sparse matrix, from gradients to the pixels of a
    picture somewhat larger than asked for; a random cut of it lies anywhere on the lattice.

    Args:
        lattice: simplex (triangles) or perlin (squares).
        size: (H, W) in pixels.
        octaves: how many; each has cells half as large as the one before. Cells under two pixels are left out.
        persistence: amplitude of each octave, as a share of the one before.
        cells: cells of the coarsest octave along the shorter side; AnoDDPM's are 4.
    """

    def __init__(self, lattice: Lattice, size: tuple[int, int], octaves: int, persistence: float, cells: float) -> None:
        coarsest = min(size) / cells
        kept = [octave for octave in range(octaves) if octave == 0 or coarsest / 2**octave >= 2]
        amplitudes = np.array([persistence**octave for octave in kept])
        amplitudes /= np.sqrt(np.square(amplitudes).sum())
        self._size, self._reach = size, math.ceil(coarsest)
        self._drawn = (size[0] + self._reach, size[1] + self._reach)
        parts = [
            amplitude * _octave(lattice, self._drawn, coarsest / 2**octave)
            for octave, amplitude in zip(kept, amplitudes, strict=True)
        ]
        self._gradients = sparse.hstack(parts, format="csr", dtype=np.float32)

    def __call__(self, rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
        """Noise of the given shape [..., H, W], float32."""
        if shape[-2:] != self._size:
            raise ValueError(f"this noise is made for {self._size}, not for {shape[-2:]}")
        count = math.prod(shape[:-2])
        phases = rng.random((self._gradients.shape[1] // 2, count), dtype=np.float32) * np.float32(2 * math.pi)
        fields = self._gradients @ np.stack([np.sin(phases), np.cos(phases)], axis=1).reshape(-1, count)
        top, left = (int(rng.integers(self._reach + 1)) for _ in range(2))
        drawn = fields.T.reshape(count, *self._drawn)
        cut = drawn[:, top : top + self._size[0], left : left + self._size[1]]
        return np.ascontiguousarray(cut, dtype=np.float32).reshape(shape)


def _octave(lattice: Lattice, size: tuple[int, int], spacing: float) -> sparse.csr_array:
    """[H W, 2 x corners]: what the gradients (down, right) of all corners add to each pixel, for unit variance."""
    y, x = np.broadcast_arrays(np.arange(size[0])[:, None] / spacing, np.arange(size[1])[None, :] / spacing)
    row, column, weight = _simplex(y, x) if lattice == "simplex" else _perlin(y, x)
    row, column = row - row.min(), column - column.min()
    corner = row * (int(column.max()) + 1) + column
    # a gradient is a unit vector of any direction: E[(w . g)^2] = |w|^2 / 2
    variance = float(np.square(weight).sum(axis=(0, 3)).mean()) / 2
    pixel = np.broadcast_to(np.arange(size[0] * size[1]).reshape(size), corner.shape)
    at = (np.repeat(pixel.ravel(), 2), np.stack([2 * corner, 2 * corner + 1], axis=-1).ravel())
    shape = (size[0] * size[1], 2 * (int(corner.max()) + 1))
    return sparse.csr_array(((weight / math.sqrt(variance)).ravel(), at), shape=shape)


def _simplex(
    y: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Corners (row, column) [3, H, W] of each pixel's triangle and their weights [3, H, W, 2] (Perlin 2002)."""
    skew = (y + x) * _SKEW
    i, j = np.floor(y + skew).astype(np.intp), np.floor(x + skew).astype(np.intp)
    unskew = (i + j) * _UNSKEW
    down, right = y - (i - unskew), x - (j - unskew)
    lower = down > right
    row = np.stack([i, i + lower, i + 1])
    column = np.stack([j, j + ~lower, j + 1])
    ways = np.stack(
        [
            np.stack([down, right], axis=-1),
            np.stack([down - lower + _UNSKEW, right - ~lower + _UNSKEW], axis=-1),
            np.stack([down - 1 + 2 * _UNSKEW, right - 1 + 2 * _UNSKEW], axis=-1),
        ]
    )
    falloff = np.maximum(0.5 - np.square(ways).sum(axis=-1), 0) ** 4
    return row, column, falloff[..., None] * ways


def _perlin(
    y: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Corners (row, column) [4, H, W] of each pixel's square and their weights [4, H, W, 2] (Perlin 2002)."""
    i, j = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, right = y - i, x - j
    fade_down, fade_right = (along**3 * (along * (along * 6 - 15) + 10) for along in (down, right))
    rows, columns, weights = [], [], []
    for lower in (0, 1):
        for farther in (0, 1):
            falloff = (fade_down if lower else 1 - fade_down) * (fade_right if farther else 1 - fade_right)
            rows.append(i + lower)
            columns.append(j + farther)
            weights.append(falloff[..., None] * np.stack([down - lower, right - farther], axis=-1))
    return np.stack(rows), np.stack(columns), np.stack(weights)
