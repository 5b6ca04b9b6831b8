"""Connected components of a mask: which anomalous pixels belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from diffusionad.structures import BoolMap

__all__ = ["join", "label"]

_Indices: TypeAlias = NDArray[np.int64]


def label(mask: BoolMap) -> tuple[NDArray[np.int32], int]:
    """Number the 8-connected components of `mask` (pixels that touch by a side or a corner belong together).

    Works on horizontal runs of pixels, not on pixels: runs of neighbouring rows that touch are joined.

    Args:
        mask: [H, W] bool.

    Returns:
        numbers: [H, W] int32, 0 outside, 1..count inside, in the order in which a reader meets the components.
        count: how many components there are.

    Raises:
        UsageError: `mask` is not two-dimensional or not bool.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise UsageError(f"Components are found in a [H, W] bool mask, not in {mask.dtype} of shape {mask.shape}.")
    height, width = mask.shape
    stride = width + 1  # the empty last column keeps runs of different rows apart in the flat array
    flat = np.zeros(height * stride + 1, np.bool_)
    flat[1:].reshape(height, stride)[:, :width] = mask
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = changes[::2], changes[1::2]  # run i covers starts[i] <= flat index < ends[i]
    roots = join(len(starts), *_touching(starts, ends, stride))
    is_root = roots == np.arange(len(roots))
    run_numbers = np.cumsum(is_root, dtype=np.int32)[roots]
    numbers = np.zeros(mask.shape, np.int32)
    numbers[mask] = np.repeat(run_numbers, ends - starts)
    return numbers, int(is_root.sum())


def _touching(starts: _Indices, ends: _Indices, stride: int) -> tuple[_Indices, _Indices]:
    """All pairs (run, run one row above) that touch, diagonals included."""
    first = np.searchsorted(ends, starts - stride, side="left")
    last = np.searchsorted(starts, ends - stride, side="right")
    counts = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(starts)), counts)
    offsets = np.arange(len(lower)) - np.repeat(np.cumsum(counts) - counts, counts)
    return lower, np.repeat(first, counts) + offsets


def join(count: int, lower: _Indices, upper: _Indices) -> _Indices:
    """Union-find over whole arrays: for each of `count` things the smallest one that it is joined to.

    Args:
        count: how many there are, numbered from 0.
        lower, upper: [N] int64 each, the pairs that belong together.
    """
    parents = np.arange(count)
    while lower.size:
        np.minimum.at(parents, np.maximum(lower, upper), np.minimum(lower, upper))
        while not np.array_equal(shorter := parents[parents], parents):
            parents = shorter
        lower, upper = parents[lower], parents[upper]
        apart = lower != upper
        lower, upper = lower[apart], upper[apart]
    return parents
