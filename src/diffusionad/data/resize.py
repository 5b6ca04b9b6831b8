"""The one resize: training, inference and export shrink a picture by the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap, Picture

__all__ = ["pooled", "resize", "resize_map", "resize_mask"]


def resize(picture: Picture, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> Picture:
    """Bilinear resize with antialiasing: every source pixel counts when the picture shrinks.

    Args:
        picture: [H, W, C] uint8 0..255 or uint16 0..65535.
        size: (H, W) wanted, in pixels.
        box: the part that is resized, (left, top, right, bottom) in pixels and parts of them; None: all of it.

    Returns:
        [H, W, C] of the same dtype; `picture` itself when the size already fits.

    Raises:
        UsageError: `picture` has another shape or dtype, or `size` has a side below 1.
    """
    if picture.ndim != 3 or 0 in picture.shape or picture.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"A picture is [H, W, C] of uint8 or uint16, not {list(picture.shape)} of {picture.dtype}.")
    _check_size(size)
    if picture.shape[:2] == size and box is None:
        return picture
    if picture.dtype == np.uint8 and picture.shape[2] == 3:
        shrunk = Pillow.fromarray(picture).resize(size[::-1], Pillow.Resampling.BILINEAR, box)
        return np.array(shrunk, dtype=np.uint8)
    planes = np.moveaxis(picture, 2, 0)
    if picture.dtype == np.uint8:
        grey = [Pillow.fromarray(np.ascontiguousarray(plane)) for plane in planes]
        return np.stack([np.asarray(one.resize(size[::-1], Pillow.Resampling.BILINEAR, box)) for one in grey], axis=2)
    channels = [_bilinear(plane.astype(np.float32), size, box) for plane in planes]
    return np.clip(np.rint(np.stack(channels, axis=2)), 0, 65535).astype(np.uint16)


def resize_map(anomaly_map: FloatMap, size: tuple[int, int]) -> FloatMap:
    """Bilinear resize of a map, [H, W] float32 to `size` (H, W) pixels; values stay within the map's range.

    Raises:
        UsageError: the map is not [H, W], or `size` has a side below 1.
    """
    _check_flat(anomaly_map)
    _check_size(size)
    values = anomaly_map.astype(np.float32, copy=False)
    return values if values.shape == size else _bilinear(values, size)


def resize_mask(mask: BoolMap, size: tuple[int, int]) -> BoolMap:
    """Resize a mask so that its share of the picture stays, to the nearest pixel and at least one.

    The pixels of highest coverage are kept, so a scratch thinner than a pixel of the result survives. Where pixels
    tie, those kept are spread evenly, so that a line is thinned along its length instead of cut short.

    Args:
        mask: [H, W] bool.
        size: (H, W) wanted, in pixels.

    Returns:
        [H, W] bool; `mask` itself when the size already fits.

    Raises:
        UsageError: the mask is not [H, W], or `size` has a side below 1.
    """
    _check_flat(mask)
    _check_size(size)
    if mask.shape == size or not mask.any():
        return mask if mask.shape == size else np.zeros(size, dtype=np.bool_)
    rows = _area_average(mask.astype(np.float64), size[0])
    coverage = np.round(_area_average(rows.T, size[1]).T.ravel(), 6)
    wanted = max(1, round(float(mask.mean()) * coverage.size))
    spread = np.arange(coverage.size) * 0.6180339887498949 % 1  # golden ratio: any run of it is evenly spread
    kept = np.zeros(coverage.size, dtype=np.bool_)
    kept[np.lexsort((spread, -coverage))[:wanted]] = True
    return kept.reshape(size)


def pooled(values: NDArray[Any], factor: int, combine: np.ufunc = np.maximum, first: int = 0) -> NDArray[Any]:
    """Each block of `factor` x `factor` pixels of [..., H, W] as one pixel: its highest, or what `combine` makes of it.

    Blocks are counted from row `first` of a larger picture of which these are some rows; edges may cut them.
    """
    if factor == 1:
        return values
    rows = np.unique(np.append(0, np.arange(-first % factor, values.shape[-2], factor)))
    columns = np.arange(0, values.shape[-1], factor)
    reduced: NDArray[Any] = combine.reduceat(combine.reduceat(values, columns, axis=-1), rows, axis=-2)
    return reduced


def _area_average(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Mean of `values` over `length` equal stretches of axis 0, exact where a stretch cuts through a row."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    edges = np.linspace(0, values.shape[0], length + 1)
    below = np.minimum(edges.astype(np.intp), values.shape[0] - 1)
    at_edges = total[below] + (edges - below)[:, None] * values[below]
    averages: NDArray[np.float64] = np.diff(at_edges, axis=0) * (length / values.shape[0])
    return averages


def _bilinear(
    values: FloatMap, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> FloatMap:
    return np.array(Pillow.fromarray(values).resize(size[::-1], Pillow.Resampling.BILINEAR, box), dtype=np.float32)


def _check_flat(values: FloatMap | BoolMap) -> None:
    if values.ndim != 2 or 0 in values.shape:
        raise UsageError(f"A map or mask is [H, W] and not empty, not {list(values.shape)}.")


def _check_size(size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise UsageError(f"A size is (height, width) of at least 1 pixel each, not {size}.")
