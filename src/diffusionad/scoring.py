"""From an anomaly map to one score for the picture and to the regions a person is shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.components import label
from diffusionad.errors import PictureError, UsageError
from diffusionad.structures import Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap

__all__ = ["find_regions", "image_score", "pixels_for", "top_k_for", "top_k_inside"]


def top_k_for(size: tuple[int, int], reference_k: int = 50, reference_side: int = 256) -> int:
    """How many pixels make the image score at working size `size` (H, W).

    The paper's K = 50 at 256x256, the same share of the picture at any other size, at least 1.

    Raises:
        UsageError: a size or reference below 1.
    """
    height, width = size
    if min(height, width, reference_k, reference_side) < 1:
        raise UsageError(
            f"A top K needs sizes of at least 1, not {height}x{width} and {reference_k} at {reference_side}."
        )
    return min(height * width, max(1, round(reference_k * height * width / reference_side**2)))


def pixels_for(size: tuple[int, int], score: str, top_k: int, percentile: float) -> tuple[int, bool]:
    """The rule of the image score at working size `size` (H, W): how many of the highest map pixels, and whether the
    least of them is the score instead of their mean.

    "maximum" takes one, "top-k" `top_k` at 256 x 256 and the same share at other sizes, "percentile" the least of those
    above that percentile.
    """
    if score == "maximum":
        return 1, False
    if score == "percentile":
        return max(1, round((1 - percentile / 100) * size[0] * size[1])), True
    return top_k_for(size, top_k), False


def top_k_inside(top_k: int, judged: BoolMap | None) -> int:
    """How many pixels make the image score where only `judged` ([H, W] bool; None: all) counts: never more than it."""
    return top_k if judged is None else max(1, min(top_k, int(judged.sum())))


def image_score(anomaly_map: FloatMap, top_k: int, least: bool = False) -> float:
    """Mean, or least, of the `top_k` highest pixels of `anomaly_map` ([H, W] float32 in 0..1), in 0..1.

    The sum is rounded once, so neither the order of the pixels nor the machine changes a bit of it.

    Paper: Sec. 3.4, image score

    Raises:
        PictureError: the map is not finite.
        UsageError: the map is not [H, W] or has fewer than `top_k` pixels, or `top_k` is below 1.
    """
    _check(anomaly_map)
    if not 1 <= top_k <= anomaly_map.size:
        raise UsageError(f"The image score is the mean of 1 to {anomaly_map.size} pixels of this map, not of {top_k}.")
    highest = np.partition(anomaly_map, anomaly_map.size - top_k, axis=None)[-top_k:]
    return float(highest[0]) if least else math.fsum(highest.tolist()) / top_k


def find_regions(
    anomaly_map: FloatMap, threshold: float, native_size: tuple[int, int], min_area: int = 1
) -> tuple[Region, ...]:
    """The connected sets of pixels strictly above `threshold`, in native pixels, largest peak first.

    Args:
        anomaly_map: [H, W] float32 in 0..1 at working size.
        threshold: map value; pixels touching by side or corner belong together.
        native_size: (height, width) of the file. Boxes grow outwards to whole native pixels.
        min_area: regions smaller than this, in square native pixels, are left out.

    Returns:
        Regions by falling peak, then falling area, then position.

    Raises:
        PictureError: the map is not finite.
        UsageError: the map is not [H, W], the threshold is NaN or the native size is below 1.
    """
    _check(anomaly_map)
    if math.isnan(threshold) or min(native_size) < 1:
        raise UsageError(f"Regions need a threshold and a native size, not {threshold} and {native_size}.")
    # float64: a float32 threshold would be rounded onto, or across, a pixel's value
    numbers, count = label(anomaly_map > np.float64(threshold))
    if not count:
        return ()
    regions = [region for region in _measured(numbers, anomaly_map, native_size) if region.area >= min_area]
    return tuple(sorted(regions, key=lambda region: (-region.peak, -region.area, region.box)))


def _measured(numbers: NDArray[np.int32], anomaly_map: FloatMap, native_size: tuple[int, int]) -> Iterator[Region]:
    """The region of each component, in the order of their numbers; at least one."""
    working_size = (numbers.shape[0], numbers.shape[1])
    rows, columns = np.nonzero(numbers)
    order = np.argsort(numbers[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    areas = np.bincount(numbers[rows, columns])[1:]
    starts = np.cumsum(areas) - areas
    lefts, tops = np.minimum.reduceat(columns, starts), np.minimum.reduceat(rows, starts)
    rights, bottoms = np.maximum.reduceat(columns, starts) + 1, np.maximum.reduceat(rows, starts) + 1
    edges = np.stack([lefts, tops, rights, bottoms], axis=1).tolist()
    peaks = np.maximum.reduceat(anomaly_map[rows, columns], starts).tolist()
    for (x0, y0, x1, y1), area, peak in zip(edges, areas.tolist(), peaks, strict=True):
        yield _at_native_size((x0, y0, x1, y1), area, peak, working_size, native_size)


def _at_native_size(
    edges: tuple[int, int, int, int],
    area: int,
    peak: float,
    working_size: tuple[int, int],
    native_size: tuple[int, int],
) -> Region:
    """One region in native pixels; `edges` are (x0, y0, x1, y1) in working pixels, the ends exclusive."""
    (height, width), (native_height, native_width) = working_size, native_size
    x0, y0, x1, y1 = edges
    # whole numbers throughout: 7 * (900 / 256) in floats could end one native pixel off
    left, top = x0 * native_width // width, y0 * native_height // height
    right, bottom = -(-x1 * native_width // width), -(-y1 * native_height // height)
    native_area = max(1, round(area * native_width * native_height / (width * height)))
    return Region(box=(left, top, right - left, bottom - top), area=native_area, peak=peak)


def _check(anomaly_map: FloatMap) -> None:
    if anomaly_map.ndim != 2:
        raise UsageError(f"An anomaly map is [H, W]; this one has the shape {anomaly_map.shape}.")
    if not np.isfinite(anomaly_map).all():
        raise PictureError("The anomaly map of the picture is not finite.", code="picture.nonfinite")
