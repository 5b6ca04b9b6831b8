"""From an anomaly map to one score for the picture and to the regions a person is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.components import join, label
from diffusionad.errors import PictureError, UsageError
from diffusionad.structures import Region

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from diffusionad.region_filter import RegionFilter
    from diffusionad.structures import BoolMap, FloatMap, Judgement, Verdict

__all__ = [
    "RegionFinder",
    "RunningScore",
    "find_regions",
    "image_score",
    "pixels_for",
    "settled",
    "top_k_for",
    "top_k_inside",
]


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
    """How many pixels make the image score where only `judged` ([H, W] bool; None: all) counts: its share of them."""
    return top_k if judged is None else max(1, round(top_k * float(judged.mean())))


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
    return _summary(_highest(anomaly_map.ravel(), top_k), least)


class RunningScore:
    """The image score of a map that comes in parts: what `image_score` says of the whole, to the bit.

    Args:
        top_k: highest pixels that count; the parts together must have as many.
        least: the least of them is the score, not their mean.
    """

    def __init__(self, top_k: int, least: bool = False) -> None:
        self._top_k, self._least = top_k, least
        self._held: FloatMap = np.empty(0, np.float32)

    def add(self, part: FloatMap) -> None:
        """Count a part, [H, W] float32."""
        values = part.ravel()
        if len(self._held) == self._top_k:
            values = values[values > self._held.min()]
        joined = np.concatenate([self._held, values])
        self._held = _highest(joined, min(self._top_k, len(joined)))

    def score(self) -> float:
        """Of all parts together. Raises UsageError when they had fewer than `top_k` pixels."""
        if len(self._held) < self._top_k:
            raise UsageError(f"The image score takes {self._top_k} pixels; the map has {len(self._held)}.")
        return _summary(self._held, self._least)


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
    finder = RegionFinder(threshold, (anomaly_map.shape[0], anomaly_map.shape[-1]), native_size)
    finder.add(anomaly_map)
    return tuple(region for region in finder.regions() if region.area >= min_area)


def settled(
    seen: Verdict, threshold: float, outlined: tuple[Region, ...], region_filter: RegionFilter | None
) -> Verdict:
    """What `seen` is at a threshold: anomalous if its score is above and a region counts; review from `lower` on; good.

    Where no listed region counts but others were left out, nobody knows whether one of them does: review.

    Args:
        seen: a judged picture with its score; `scale`, `lower` and `regions_left_out` are its own.
        threshold: image score, 0..1; map values above it are outlined.
        outlined: its listed regions above `threshold`; () when its score is not above.
        region_filter: which count; None: all.

    Raises:
        UsageError: the filter asks for what is not known of a region.
    """
    above = seen.score > threshold
    passes = [region_filter is None or region_filter.passes(region, seen.scale) for region in outlined]
    kept = tuple(region for region, counts in zip(outlined, passes, strict=True) if counts)
    if above:
        missed: Judgement = "review" if seen.regions_left_out else "good"
        verdict: Judgement = "anomalous" if kept or region_filter is None else missed
    else:
        verdict = "review" if seen.lower is not None and seen.score >= seen.lower else "good"
    return replace(
        seen,
        verdict=verdict,
        threshold=threshold,
        regions=kept,
        dropped=tuple(region for region, counts in zip(outlined, passes, strict=True) if not counts),
        region_filter=region_filter.text if region_filter else None,
        regions_left_out=seen.regions_left_out if above else 0,
        outlined_at=threshold if above else None,
    )


@dataclass(slots=True)
class _Parts:
    """Connected sets of pixels: edges [N, 4] (x0, y0, x1, y1) int64, ends exclusive, areas [N] int64, peaks [N]."""

    edges: NDArray[np.int64]
    areas: NDArray[np.int64]
    peaks: FloatMap

    def at(self, which: NDArray[Any]) -> _Parts:
        return _Parts(self.edges[which], self.areas[which], self.peaks[which])

    def with_(self, other: _Parts) -> _Parts:
        return _Parts(
            np.concatenate([self.edges, other.edges]),
            np.concatenate([self.areas, other.areas]),
            np.concatenate([self.peaks, other.peaks]),
        )


class RegionFinder:
    """Regions of a map that comes some rows at a time, from the top: what `find_regions` says of the whole.

    Memory: what is open at the last row, and the `most` regions of highest peak.

    Args:
        threshold: map value; pixels strictly above it that touch by side or corner belong together.
        size: (H, W) of the whole map.
        native_size: (height, width) of the file. Boxes grow outwards to whole native pixels.
        most: how many regions are kept; None: all of them.

    Raises:
        UsageError: the threshold is NaN or a size below 1.
    """

    def __init__(
        self, threshold: float, size: tuple[int, int], native_size: tuple[int, int], most: int | None = None
    ) -> None:
        if math.isnan(threshold) or min(native_size) < 1:
            raise UsageError(f"Regions need a threshold and a native size, not {threshold} and {native_size}.")
        # float64: a float32 threshold would be rounded onto, or across, a pixel's value
        self._threshold, self._size, self._native, self._most = np.float64(threshold), size, native_size, most
        self._row, self._found = 0, 0
        self._edge = np.zeros(size[1], np.int64)  # of the last row: 0, or 1 + the number of the open part
        self._open, self._closed = _no_parts(), _no_parts()

    def add(self, rows: FloatMap) -> None:
        """The next rows, [h, W] float32.

        Raises:
            PictureError: a value is not finite.
            UsageError: the rows are not [h, W].
        """
        _check(rows)
        numbers, count = label(rows > self._threshold)
        before = len(self._open.areas)
        parts = self._open.with_(_measured(numbers, rows, self._row) if count else _no_parts())
        inner = np.where(numbers > 0, numbers.astype(np.int64) + before, 0)
        roots = join(len(parts.areas), *_across(self._edge, inner[0]))
        last = np.unique(roots[inner[-1][inner[-1] > 0] - 1])
        joined, number_of = _joined(parts, roots)
        is_open = np.zeros(len(joined.areas), np.bool_)
        is_open[number_of[last]] = True
        renumbered = np.cumsum(is_open)
        self._edge = np.where(inner[-1] > 0, renumbered[number_of[roots[inner[-1] - 1]]] if count else 0, 0)
        self._open = joined.at(is_open)
        self._close(joined.at(~is_open))
        self._row += len(rows)

    def regions(self) -> tuple[Region, ...]:
        """All regions kept, by falling peak, then falling area, then position. No rows may be added afterwards."""
        self._close(self._open)
        self._open = _no_parts()
        parts = self._closed
        made = [
            _at_native_size((x0, y0, x1, y1), area, peak, self._size, self._native)
            for (x0, y0, x1, y1), area, peak in zip(
                parts.edges.tolist(), parts.areas.tolist(), parts.peaks.tolist(), strict=True
            )
        ]
        return tuple(sorted(made, key=lambda region: (-region.peak, -region.area, region.box)))

    @property
    def left_out(self) -> int:
        """How many regions were found and not kept."""
        return self._found - len(self._closed.areas)

    def _close(self, parts: _Parts) -> None:
        self._found += len(parts.areas)
        kept = self._closed.with_(parts)
        if self._most is not None and len(kept.areas) > self._most:
            left, top = kept.edges[:, 0], kept.edges[:, 1]
            kept = kept.at(np.lexsort((top, left, -kept.areas, -kept.peaks))[: self._most])
        self._closed = kept


def _no_parts() -> _Parts:
    return _Parts(np.empty((0, 4), np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def _across(above: NDArray[np.int64], below: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of parts, numbered from 0, that touch between two rows of part numbers from 1, corners included."""
    wide = np.pad(above, 1)
    pairs = [(wide[by : by + len(below)], below) for by in range(3)]
    touching = [(upper[both] - 1, lower[both] - 1) for upper, lower in pairs for both in [(upper > 0) & (lower > 0)]]
    return np.concatenate([pair[0] for pair in touching]), np.concatenate([pair[1] for pair in touching])


def _joined(parts: _Parts, roots: NDArray[np.int64]) -> tuple[_Parts, NDArray[np.int64]]:
    """The parts that have one root as one part each, and for each root the number of that part."""
    is_root = roots == np.arange(len(roots))
    number_of = np.cumsum(is_root) - 1
    merged, mine = parts.at(is_root), number_of[roots[~is_root]]
    others = parts.at(~is_root)
    np.minimum.at(merged.edges[:, :2], mine, others.edges[:, :2])
    np.maximum.at(merged.edges[:, 2:], mine, others.edges[:, 2:])
    np.add.at(merged.areas, mine, others.areas)
    np.maximum.at(merged.peaks, mine, others.peaks)
    return merged, number_of


def _measured(numbers: NDArray[np.int32], anomaly_map: FloatMap, first_row: int) -> _Parts:
    """Each component, in the order of their numbers; at least one. `first_row` is added to their rows."""
    rows, columns = np.nonzero(numbers)
    order = np.argsort(numbers[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    areas = np.bincount(numbers[rows, columns])[1:]
    starts = np.cumsum(areas) - areas
    lefts, tops = np.minimum.reduceat(columns, starts), np.minimum.reduceat(rows, starts) + first_row
    rights, bottoms = np.maximum.reduceat(columns, starts) + 1, np.maximum.reduceat(rows, starts) + 1 + first_row
    peaks = np.maximum.reduceat(anomaly_map[rows, columns], starts)
    return _Parts(np.stack([lefts, tops, rights, bottoms], axis=1), areas, peaks)


def _summary(highest: FloatMap, least: bool) -> float:
    return float(highest.min()) if least else math.fsum(highest.tolist()) / len(highest)


def _highest(values: FloatMap, count: int) -> FloatMap:
    """The `count` highest of [N] values, in any order."""
    return np.partition(values, len(values) - count)[len(values) - count :]


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
