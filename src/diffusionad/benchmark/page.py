"""The offline page of a benchmark: table, accuracy against latency and training, pictures on which methods disagree."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from diffusionad.benchmark.ranking import places
from diffusionad.benchmark.running import Row, folder_of, means
from diffusionad.data import read_picture, resize
from diffusionad.errors import PictureError
from diffusionad.files import write_text
from diffusionad.report.charts import BOTTOM, LEFT, RIGHT, TOP, Tick
from diffusionad.report.html import environment
from diffusionad.report.pictures import encode, heat, to_display

__all__ = ["write_page"]

FIGURES = ("image_auroc", "pixel_auroc", "aupro", "pixel_ap")
MOST_SHOWN = 12
"""Pictures in the gallery."""
SIDE = 128
LETTER, LINE = 6.2, 12.0
"""Size of a name's letters in a chart, no smaller than they are drawn."""


@dataclass(frozen=True, slots=True)
class _Dot:
    """At (x, y) of the chart; its name stands at (name_x, name_y), ending there if `is_far`."""

    x: float
    y: float
    method: str
    told: str
    name_x: float
    name_y: float
    is_far: bool


@dataclass(frozen=True, slots=True)
class _Scatter:
    x_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    dots: Sequence[_Dot]


@dataclass(frozen=True, slots=True)
class _Shown:
    name: str
    truth: str
    picture: str
    maps: Sequence[tuple[str, str, str]]


def write_page(path: Path, rows: Sequence[Row], folder: Path) -> None:
    """Write the page as one HTML file, whole or not at all. Raises ResourceError.

    Args:
        path: where.
        rows: of the benchmark.
        folder: its `rows`, with what each method said.
    """
    measured = [row for row in rows if row.image_auroc is not None]
    mean = dict(means(rows, (*FIGURES, "median_ms", "learned_seconds")))
    whole = [row for row in measured if mean[row.method]["image_auroc"] is not None]
    text = environment("diffusionad.benchmark").get_template("benchmark.html.j2").render(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        rows=rows,
        figures=FIGURES,
        sets=list(dict.fromkeys(row.dataset for row in rows)),
        mean=sorted(mean.items(), key=lambda item: -(item[1]["image_auroc"] or -1)),
        places=places(rows, folder),
        titles={row.method: row.title for row in rows},
        latency=_scatter(whole, "median_ms", "milliseconds a picture"),
        training=_scatter(whole, "learned_seconds", "seconds of training"),
        shown=_disagreements(measured, folder),
        failed=[row for row in rows if row.image_auroc is None],
    )  # fmt: skip
    write_text(path, text)


def _scatter(rows: Sequence[Row], cost: str, title: str) -> _Scatter | None:
    """Mean image AUROC of each method over its rows against the geometric mean of what it costs."""
    points = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        costs = [max(float(getattr(row, cost) or 0), 1e-3) for row in own]
        y = float(np.mean([row.image_auroc for row in own if row.image_auroc is not None]))
        points.append((math.exp(float(np.mean(np.log(costs)))), y, method))
    if not points:
        return None
    low, high = (math.log10(one(x for x, *_ in points)) for one in (min, max))
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    bottom = min(0.9, max(0.0, math.floor(10 * min(y for _, y, _ in points)) / 10))

    def across(x: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(x) - low) / (high - low)

    def up(y: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (y - bottom) / (1 - bottom)

    levels = [bottom + (1 - bottom) * step / 4 for step in range(5)]
    return _Scatter(
        title,
        [Tick(across(10.0**power), f"{10.0**power:g}") for power in range(low, high + 1)],
        [Tick(up(level), f"{level:.2f}") for level in levels],
        _dots([(across(x), up(y), name, f"{name}: image AUROC {y:.3f}, {x:.3g} {title}") for x, y, name in points]),
    )


def _dots(points: Sequence[tuple[float, float, str, str]]) -> list[_Dot]:
    """Points (x, y, method, told) with their names, on the side where each is moved down less until it covers no dot
    and no name above it.
    """
    dots: list[_Dot] = []
    taken = [(x - LETTER, x + LETTER, y + 4) for x, y, *_ in points]
    for x, y, method, told in sorted(points, key=lambda point: point[1]):
        long = LETTER * len(method)
        sides = [(x + 8, x + 8 + long, False), (x - 8 - long, x - 8, True)]
        spots = [
            (_below(begin, end, y + 4, taken), begin, end, is_far)
            for begin, end, is_far in sides
            if begin > LEFT and end < RIGHT + LETTER
        ]
        low, begin, end, is_far = min(spots or [(y + 4, *sides[0])])
        taken.append((begin, end, low))
        dots.append(_Dot(x, y, method, told, end if is_far else begin, low, is_far))
    return dots


def _below(begin: float, end: float, low: float, taken: Sequence[tuple[float, float, float]]) -> float:
    """`low`, or how far down a name from `begin` to `end` is free of the others."""
    for other_begin, other_end, other in sorted(taken, key=lambda name: name[2]):
        if begin < other_end and other_begin < end and abs(low - other) < LINE:
            low = other + LINE
    return low


def _disagreements(rows: Sequence[Row], folder: Path) -> list[_Shown]:
    """The pictures whose ranks among their test set differ most between methods, with every method's map."""
    found: list[tuple[float, str, int, str]] = []
    first = [row for row in rows if row.seed == min(one.seed for one in rows)]
    for name in dict.fromkeys(row.dataset for row in first):
        own = [row for row in first if row.dataset == name]
        ranks = []
        for row in own:
            scores = np.array(_scores(folder, row)["scores"])
            ranks.append(scores.argsort().argsort() / max(1, len(scores) - 1))
        paths = _scores(folder, own[0])["paths"]
        spread = np.std(ranks, axis=0)
        found.extend((float(spread[place]), name, place, str(paths[place])) for place in range(len(paths)))
    shown = []
    for _, name, place, path in sorted(found, reverse=True)[:MOST_SHOWN]:
        try:
            picture = to_display(resize(read_picture(Path(path)), (SIDE, SIDE)))
        except PictureError:
            continue  # it has gone since it was judged
        maps = []
        for row in first:
            if row.dataset == name:
                odd = np.load(folder_of(folder, row) / "small.npy", allow_pickle=False)[place]
                score = _scores(folder, row)["scores"][place]
                maps.append((row.method, _inline(heat(np.clip(odd / 2, 0, 1))), f"{score:.4g}"))
        shown.append(_Shown(f"{name}/{Path(path).name}", Path(path).parent.name, _inline(picture), maps))
    return shown


def _scores(folder: Path, row: Row) -> dict[str, list[float]]:
    stored: dict[str, list[float]] = json.loads((folder_of(folder, row) / "scores.json").read_text(encoding="utf-8"))
    return stored


def _inline(picture: np.ndarray) -> str:
    return "data:image/webp;base64," + base64.b64encode(encode(picture)).decode("ascii")
