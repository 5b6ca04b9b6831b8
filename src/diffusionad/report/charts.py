"""Where the lines and bars of the charts lie; the template only draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bar", "Curve", "Histogram", "Roc", "Tick", "costs_chart", "curve", "histogram", "roc"]

BINS = 40
WIDTH, HEIGHT = 480, 280
LEFT, RIGHT, TOP, BOTTOM = 48, WIDTH - 24, 22, HEIGHT - 44
FRAME = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
"""Where the plot lies inside its SVG, for the template."""

MAX_POINTS = 400
SMALLEST_BAR = 2.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One histogram bar; `count` pictures have a score from `low` to `high`."""

    x: float
    y: float
    width: float
    height: float
    count: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Good pictures above the base line, defective ones below it, both on one scale; scores from 0 to `end`."""

    good: tuple[Bar, ...]
    defective: tuple[Bar, ...]
    base: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    threshold: float | None
    end: float


@dataclass(frozen=True, slots=True)
class Roc:
    """ROC or PRO: `line` is the points of an SVG polyline; `chosen` is where the threshold puts the bundle."""

    line: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    chosen: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Costs over thresholds: `line` is the points of an SVG polyline; the others are points on it, or None."""

    line: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    chosen: tuple[float, float] | None
    lowest: tuple[float, float] | None


def histogram(good: Sequence[float], defective: Sequence[float], threshold: float | None) -> Histogram | None:
    """Bars over a score axis that starts at 0 and holds all scores and the threshold; None without scores."""
    up, down = _finite(good), _finite(defective)
    if not up.size + down.size:
        return None
    highest = max(float(np.concatenate([up, down]).max()), threshold or 0.0, 1e-6)
    step = _nice(highest / 5)
    end = step * math.ceil(highest / step - 1e-9)
    edges = np.linspace(0, end, BINS + 1)
    counts_up, counts_down = (np.histogram(np.clip(scores, 0, end), edges)[0] for scores in (up, down))
    room = BOTTOM - TOP
    tall = max(1, int(counts_up.max()) + int(counts_down.max()))
    base = TOP + room * int(counts_up.max()) / tall
    y_step = max(1, round(_nice(tall / 5)))
    marks = [
        n for n in range(-(tall // y_step) * y_step, tall + 1, y_step) if -counts_down.max() <= n <= counts_up.max()
    ]
    return Histogram(
        good=_bars(counts_up, edges, base, room / tall, upward=True),
        defective=_bars(counts_down, edges, base, room / tall, upward=False),
        base=round(base, 1),
        x_ticks=tuple(Tick(_x(value / end), f"{value:.4g}") for value in np.arange(0, end + step / 2, step)),
        y_ticks=tuple(Tick(round(base - n * room / tall, 1), str(abs(n))) for n in marks),
        threshold=None if threshold is None else _x(threshold / end),
        end=end,
    )


def roc(good: Sequence[float], defective: Sequence[float], threshold: float | None) -> Roc | None:
    """Share of defects found against share of good parts rejected; None unless both kinds were judged."""
    normal, anomalous = np.sort(_finite(good)), np.sort(_finite(defective))
    if not normal.size or not anomalous.size:
        return None
    cuts = np.unique(np.concatenate([normal, anomalous]))[::-1]
    rejected = np.concatenate([[0.0], 1 - np.searchsorted(normal, cuts, "left") / normal.size])
    found = np.concatenate([[0.0], 1 - np.searchsorted(anomalous, cuts, "left") / anomalous.size])
    kept = np.unique(np.linspace(0, len(found) - 1, MAX_POINTS).round().astype(int))
    chosen = None
    if threshold is not None:
        chosen = (_x(float((normal > threshold).mean())), _y(float((anomalous > threshold).mean())))
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return Roc(
        line=" ".join(f"{_x(x)},{_y(y)}" for x, y in zip(rejected[kept], found[kept], strict=True)),
        x_ticks=tuple(Tick(_x(share), f"{share:.0%}") for share in shares),
        y_ticks=tuple(Tick(_y(share), f"{share:.0%}") for share in shares),
        chosen=chosen,
    )


def curve(points: Sequence[tuple[float, float]], end: float) -> Roc | None:
    """A curve of shares (x from 0 to `end`, y from 0 to 1); None without points."""
    if not points:
        return None
    return Roc(
        line=" ".join(f"{_x(x / end)},{_y(y)}" for x, y in points),
        x_ticks=tuple(Tick(_x(share), f"{share * end:.3g}") for share in (0.0, 1 / 3, 2 / 3, 1.0)),
        y_ticks=tuple(Tick(_y(share), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        chosen=None,
    )


def costs_chart(points: Sequence[tuple[float, float]], threshold: float | None, cheapest: float | None) -> Curve | None:
    """Steps of (threshold, cost), thresholds rising from 0; None without points."""
    if not points:
        return None
    cuts, values = [cut for cut, _ in points], [cost for _, cost in points]
    x_step, y_step = _nice(max(*cuts, threshold or 0, 1e-6) / 5), _nice(max(*values, 1e-6) / 5)
    x_end = x_step * math.ceil(max(*cuts, threshold or 0, 1e-6) / x_step - 1e-9)
    y_end = y_step * math.ceil(max(*values, 1e-6) / y_step - 1e-9)
    corners: list[tuple[float, float]] = []
    for cut, cost in points:
        if corners:
            corners.append((cut, corners[-1][1]))
        corners.append((cut, cost))
    corners.append((x_end, corners[-1][1]))

    def place(at: float | None) -> tuple[float, float] | None:
        if at is None:
            return None
        cost = next((cost for cut, cost in reversed(points) if cut <= at), values[0])
        return _x(at / x_end), _y(cost / y_end)

    return Curve(
        line=" ".join(f"{_x(x / x_end)},{_y(y / y_end)}" for x, y in corners),
        x_ticks=tuple(Tick(_x(value / x_end), f"{value:.4g}") for value in np.arange(0, x_end + x_step / 2, x_step)),
        y_ticks=tuple(Tick(_y(value / y_end), f"{value:.4g}") for value in np.arange(0, y_end + y_step / 2, y_step)),
        chosen=place(threshold),
        lowest=place(cheapest),
    )


def _bars(
    counts: NDArray[np.int64], edges: NDArray[np.float64], base: float, unit: float, *, upward: bool
) -> tuple[Bar, ...]:
    width = (RIGHT - LEFT) / BINS
    bars = []
    for index in np.flatnonzero(counts):
        height = max(SMALLEST_BAR, float(counts[index]) * unit)
        bars.append(
            Bar(
                x=round(LEFT + index * width + 0.5, 1),
                y=round(base - height if upward else base, 1),
                width=round(width - 1, 1),
                height=round(height, 1),
                count=int(counts[index]),
                low=float(edges[index]),
                high=float(edges[index + 1]),
            )
        )
    return tuple(bars)


def _finite(scores: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64).reshape(-1)
    return values[np.isfinite(values)]


def _nice(rough: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= rough - 1e-12), 10 * power)


def _x(share: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * float(share), 1)


def _y(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * float(share), 1)
