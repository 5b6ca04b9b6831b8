"""What longer training and dearer presets buy: python benchmarks/frontier.py [--to docs/frontier.svg].

From rows that were measured before: `native.csv` for the figures and the minutes, all at the size of the files, so
that presets of different working sizes compare; `latency.csv` for the time a picture takes. A point is a preset after
so many core-minutes (minutes times cores) on all five sets: the mean over the sets of the mean over their seeds.
Combinations that lack a set are left out. Prints the table; `--to` writes the plot.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from accuracy_page import SETS
from pages import Row, rows_of

FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO", "pixel_ap": "pixel AP"}
COLOURS = {"image_auroc": "#0072B2", "pixel_auroc": "#56B4E9", "aupro": "#009E73", "pixel_ap": "#D55E00"}
LOWEST = 0.4
WIDTH, HEIGHT, TOP, BOTTOM = 860, 400, 50, 330
LEFT, RIGHT = (60, 370), (500, 830)
LEAST_APART = 14
"""Pixels between two names at the end of their lines."""


@dataclass(frozen=True, slots=True)
class Point:
    """One preset after so many core-minutes; `figures` are means over the sets."""

    preset: str
    core_minutes: int
    figures: dict[str, float]
    milliseconds: dict[str, float]

    @property
    def name(self) -> str:
        return f"{self.preset}, {self.core_minutes} core-minutes"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    points = frontier(rows_of("native.csv"), rows_of("latency.csv"))
    if not points:
        raise SystemExit("No preset has rows of all sets: measure more.")
    print(f"| preset | core-minutes | {' | '.join(FIGURES.values())} | ms a picture |")
    print("|---|---|---|---|---|---|---|")
    for point in points:
        figures = " | ".join(f"{point.figures[name]:.3f}" for name in FIGURES)
        taken = ", ".join(f"{value:.1f} ({name})" for name, value in point.milliseconds.items()) or "not measured"
        print(f"| {point.preset} | {point.core_minutes} | {figures} | {taken} |")
    if given.to:
        given.to.write_text(draw(points), encoding="utf-8")


def frontier(accuracy: Sequence[Row], latency: Sequence[Row]) -> list[Point]:
    """The points, by core-minutes; of a set and seed the newest row counts, of a preset and runtime too."""
    newest: dict[tuple[str, int], dict[tuple[str, str], Row]] = defaultdict(dict)
    for row in accuracy:
        minutes = round(float(row["minutes"]) * int(row["cores"]))
        newest[row["preset"], minutes][row["dataset"], row["seed"]] = row
    times: dict[str, dict[str, float]] = defaultdict(dict)
    for row in latency:
        times[row["preset"]][row["runtime"].removesuffix(f" {row['precision']}") + f" {row['precision']}"] = float(
            row["median_ms"]
        )
    points = []
    for (preset, minutes), rows in newest.items():
        if not set(SETS) <= {dataset for dataset, _ in rows}:
            continue
        figures = {
            name: mean(mean(float(row[name]) for (mine, _), row in rows.items() if mine == each) for each in SETS)
            for name in FIGURES
        }
        points.append(Point(preset, minutes, figures, dict(times[preset])))
    return sorted(points, key=lambda point: point.core_minutes)


def draw(points: Sequence[Point]) -> str:
    """The plot as SVG text: figures over core-minutes of training, and image AUROC over milliseconds a picture."""
    longest = _in_fours(max(point.core_minutes for point in points))
    slowest = _in_fours(max((taken for point in points for taken in point.milliseconds.values()), default=1.0))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(LEFT, longest, "core-minutes of training", "Mean of five sets"),
        *_axes(RIGHT, slowest, "ms from file to verdict, two cores", "Their image AUROC at the longest training"),
    ]
    presets = list(dict.fromkeys(point.preset for point in points))
    lowest = 0.0
    for name, title in sorted(FIGURES.items(), key=lambda it: -points[-1].figures[it[0]]):
        for preset in presets:
            at = [
                (_across(LEFT, point.core_minutes / longest), _up(point.figures[name]), point)
                for point in points
                if point.preset == preset
            ]
            parts.append(
                f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in at)}" fill="none" '
                f'stroke="{COLOURS[name]}" stroke-width="2"/>'
            )
            for x, y, point in at:
                told = f"{point.name}: {title} {point.figures[name]:.3f}"
                parts.append(_mark(x, y, presets.index(preset), COLOURS[name], told))
        lowest = max(_up(points[-1].figures[name]) + 4, lowest + LEAST_APART)
        parts.append(_text(_across(LEFT, points[-1].core_minutes / longest) + 8, lowest, title, colour=COLOURS[name]))
    for shape, preset in enumerate(presets):
        x = LEFT[0] + 100 * shape + 20
        parts.append(_mark(x, BOTTOM + 30, shape, "#222", preset))
        parts.append(_text(x + 10, BOTTOM + 34, preset))
    judged = [
        (taken, point, runtime)
        for point in {point.preset: point for point in points}.values()
        for runtime, taken in point.milliseconds.items()
    ]
    for number, (taken, point, runtime) in enumerate(sorted(judged, key=lambda it: it[0]), 1):
        x, y = _across(RIGHT, taken / slowest), _up(point.figures["image_auroc"])
        told = f"{point.preset}, {runtime}: {taken:.1f} ms"
        parts.append(_mark(x, y, presets.index(point.preset), COLOURS["image_auroc"], told))
        parts.append(_text(x, y + (-8 if number % 2 else 18), str(number), anchor="middle", small=True))
        parts.append(_text(RIGHT[0] + 40, TOP + 70 + 16 * number, f"{number}  {told}", small=True))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _mark(x: float, y: float, shape: int, colour: str, told: str) -> str:
    """A point: circle, square or diamond."""
    title = f"<title>{told}</title>"
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">{title}</circle>'
    turned = f' transform="rotate(45 {x:.1f} {y:.1f})"' if shape > 1 else ""
    return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"{turned}>{title}</rect>'


def _axes(span: tuple[int, int], end: float, label: str, title: str) -> list[str]:
    parts = [
        _text(span[0], 22, title, bold=True),
        f'<path d="M{span[0]} {TOP}V{BOTTOM}H{span[1]}" stroke="#222" fill="none"/>',
        _text((span[0] + span[1]) / 2, BOTTOM + 56, label, anchor="middle"),
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(_across(span, share), BOTTOM + 16, f"{share * end:.3g}", anchor="middle"))
        figure = LOWEST + share * (1 - LOWEST)
        parts.append(_text(span[0] - 8, _up(figure) + 4, f"{figure:.3g}", anchor="end"))
        parts.append(f'<path d="M{span[0] - 4} {_up(figure):.1f}H{span[0]}" stroke="#222"/>')
    return parts


def _in_fours(end: float) -> float:
    """The next multiple of four: an axis has four parts."""
    return 4.0 * math.ceil(end / 4)


def _across(span: tuple[int, int], share: float) -> float:
    return span[0] + share * (span[1] - span[0])


def _up(figure: float) -> float:
    return BOTTOM - (figure - LOWEST) / (1 - LOWEST) * (BOTTOM - TOP)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, small: bool = False, colour: str = ""
) -> str:
    style = (' font-weight="bold"' if bold else "") + (' font-size="10"' if small else "")
    filled = f' fill="{colour}"' if colour else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}{filled}>{text}</text>'


if __name__ == "__main__":
    main()
