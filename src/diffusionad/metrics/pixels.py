"""Pixel AUROC, AP, F1-max and AUPRO over any number of maps, in bounded memory.

A map is forgotten once added: what stays are two tallies, of the map values on good and on anomalous pixels. The
figures are exact for float32 maps until the tallies hold more than `distinct_limit` values. Then both move, once and
for all, to the grid of `tallies.coarse`, and the figures are exact for maps rounded down by less than 2^-24. Neither
the order of the maps nor the moment of the move matters.

AUPRO: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, section 5; the paper's PRO up to FPR 0.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.components import label
from diffusionad.errors import DataError
from diffusionad.metrics.ranking import Steps, steps
from diffusionad.metrics.tallies import coarse, empty_tally, merged, rounded, tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap

__all__ = ["FPR_LIMIT", "PixelMetrics", "PixelResult", "area_under_pro"]

FPR_LIMIT = 0.3
"""False positive rate up to which AUPRO is integrated."""

_POINTS = 400
"""Of a curve that is drawn."""

_BATCH = 8_000_000
"""Pixels that wait before they are sorted into the tallies."""


@dataclass(frozen=True, slots=True)
class PixelResult:
    """Pixel figures of a data set, fractions 0..1; None where no anomalous or no good pixel was added.

    Attributes:
        pixel_auroc: chance that an anomalous pixel's map value is above a good pixel's, a tie counting half.
        pixel_ap: average precision over pixels.
        pixel_f1_max: highest F1 over pixels.
        f1_threshold: the highest threshold that reaches it, anomalous being value >= threshold.
        aupro: area under the mean per-region overlap up to FPR 0.3, divided by 0.3.
        rounded: the tallies outgrew their limit and map values were rounded down by less than 2^-24.
    """

    pixel_auroc: float | None
    pixel_ap: float | None
    pixel_f1_max: float | None
    f1_threshold: float | None
    aupro: float | None
    rounded: bool


class PixelMetrics:
    """Takes maps one by one and holds tallies of them, never the maps.

    Args:
        distinct_limit: distinct map values held before values are rounded; 16 million take about 0.2 GB.
    """

    def __init__(self, distinct_limit: int = 16_000_000) -> None:
        self._distinct_limit = distinct_limit
        self._good = empty_tally()
        self._anomalous = empty_tally()
        self._waiting_good: list[NDArray[np.float32]] = []
        self._waiting_anomalous: list[NDArray[np.float32]] = []
        self._waiting_weights: list[NDArray[np.float64]] = []
        self._waiting_pixels = 0
        self._rounded = False

    def add(self, anomaly_map: FloatMap, true_mask: BoolMap, judged: BoolMap | None = None) -> None:
        """Count one picture.

        Args:
            anomaly_map: [H, W] float32 in 0..1; any size, it may change from picture to picture.
            true_mask: [H, W] bool; all False for a good picture.
            judged: [H, W] bool; pixels where it is False are not counted. None: all are.

        Raises:
            DataError: shapes or types differ from these, or a value is outside 0..1 or not finite.
        """
        _check(anomaly_map, true_mask, judged)
        anomalous = true_mask if judged is None else true_mask & judged
        good = ~true_mask if judged is None else ~true_mask & judged
        numbers = label(anomalous)[0] if anomalous.any() else None
        shares = np.empty(0) if numbers is None else 1 / np.bincount(numbers[anomalous]).clip(min=1)
        step = max(1, _BATCH // max(1, anomaly_map.shape[1]))
        for rows in (slice(first, first + step) for first in range(0, len(anomaly_map), step)):
            if numbers is not None:
                regions = numbers[rows][anomalous[rows]]
                self._waiting_anomalous.append(anomaly_map[rows][anomalous[rows]])
                self._waiting_weights.append(shares[regions])
            self._waiting_good.append(anomaly_map[rows][good[rows]])
            self._waiting_pixels += anomaly_map[rows].size
            # waiting for half of what is held keeps the merges' total cost near n log n
            if self._waiting_pixels >= max(_BATCH, (len(self._good.values) + len(self._anomalous.values)) // 2):
                self._settle()

    def result(self) -> PixelResult:
        """The figures of everything added so far; more may be added afterwards."""
        self._settle()
        if not len(self._good.values) or not len(self._anomalous.values):
            return PixelResult(None, None, None, None, None, self._rounded)
        course = steps(self._anomalous, self._good)
        f1, threshold = course.f1_max()
        return PixelResult(
            pixel_auroc=course.auroc(),
            pixel_ap=course.average_precision(),
            pixel_f1_max=f1,
            f1_threshold=threshold,
            aupro=area_under_pro(course, self._anomalous.weights[::-1]),
            rounded=self._rounded,
        )

    def pro(self) -> tuple[tuple[float, float], ...]:
        """The curve that AUPRO is the area under: (false positive rate, mean overlap), both rising, up to FPR 0.3.

        At most 400 points; () where AUPRO cannot be measured.
        """
        self._settle()
        if not len(self._good.values) or not len(self._anomalous.values):
            return ()
        return _thinned(*pro_curve(steps(self._anomalous, self._good), self._anomalous.weights[::-1]))

    def _settle(self) -> None:
        """Move what waits into the tallies."""
        if not self._waiting_pixels:
            return
        good, anomalous = _joined(self._waiting_good), _joined(self._waiting_anomalous)
        weights = np.concatenate([np.empty(0), *self._waiting_weights])
        self._waiting_good, self._waiting_anomalous, self._waiting_weights = [], [], []
        self._waiting_pixels = 0
        if self._rounded:
            good, anomalous = coarse(good), coarse(anomalous)
        self._good = merged(self._good, tally(good))
        self._anomalous = merged(self._anomalous, tally(anomalous, weights))
        if not self._rounded and len(self._good.values) + len(self._anomalous.values) > self._distinct_limit:
            self._rounded = True
            self._good, self._anomalous = rounded(self._good), rounded(self._anomalous)


def area_under_pro(course: Steps, gained: NDArray[np.float64], fpr_limit: float = FPR_LIMIT) -> float:
    """Area under the per-region overlap, as a function of the false positive rate, up to `fpr_limit`, divided by it.

    Args:
        course: hits and false alarms over pixels.
        gained: [N] float64, sum over the pixels that `course.thresholds` adds of 1 / area of their region.
        fpr_limit: in 0..1; the curve is interpolated there.

    Returns:
        0..1; exactly 1 when every anomalous pixel is above every good one.
    """
    rates, heights = pro_curve(course, gained, fpr_limit)
    return min(1.0, float(np.trapezoid(heights, rates)) / fpr_limit)


def pro_curve(
    course: Steps, gained: NDArray[np.float64], fpr_limit: float = FPR_LIMIT
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (false positive rates, overlaps) of the curve from 0 to `fpr_limit`. Arguments as `area_under_pro`."""
    overlaps = np.cumsum(gained)
    overlaps /= overlaps[-1]  # the last sum is the number of regions, but for rounding
    # two corners per step: where the threshold reaches it, and after it took all that is level with it
    rates = np.column_stack([course.alarms_above, course.alarms]).ravel() / course.good
    heights = np.column_stack([np.append(0.0, overlaps[:-1]), overlaps]).ravel()
    rates, heights = np.concatenate([[0.0], rates, [1.0]]), np.concatenate([[0.0], heights, [1.0]])
    end = int(np.searchsorted(rates, fpr_limit, side="right"))
    if end < len(rates):
        way = (fpr_limit - rates[end - 1]) / (rates[end] - rates[end - 1])
        height = heights[end - 1] + way * (heights[end] - heights[end - 1])
        rates, heights = np.append(rates[:end], fpr_limit), np.append(heights[:end], height)
    return rates, heights


def _thinned(rates: NDArray[np.float64], heights: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """At most `_POINTS` points of a curve, evenly spread along its length, both ends kept."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(rates)) / FPR_LIMIT + np.abs(np.diff(heights)))])
    wanted = np.linspace(0, length[-1], min(_POINTS, len(rates)))
    kept = np.unique(np.searchsorted(length, wanted).clip(max=len(rates) - 1))
    return tuple(zip(rates[kept].tolist(), heights[kept].tolist(), strict=True))


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0, np.float32), *parts])


def _check(anomaly_map: FloatMap, true_mask: BoolMap, judged: BoolMap | None) -> None:
    if anomaly_map.ndim != 2 or anomaly_map.shape != true_mask.shape:
        raise DataError(f"Map and mask must be [H, W] of one size; they are {anomaly_map.shape} and {true_mask.shape}.")
    if judged is not None and (judged.shape != anomaly_map.shape or judged.dtype != np.bool_):
        raise DataError(f"What is judged must be bool of the map's size; it is {judged.dtype} of {judged.shape}.")
    if anomaly_map.dtype != np.float32 or true_mask.dtype != np.bool_:
        raise DataError(f"Map and mask must be float32 and bool; they are {anomaly_map.dtype} and {true_mask.dtype}.")
    if anomaly_map.size and not (anomaly_map.min() >= 0 and anomaly_map.max() <= 1):
        raise DataError("The anomaly map has values that are not finite or outside 0..1.")
