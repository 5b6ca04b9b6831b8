"""The plot of `coverage.py`, as SVG text: left what simulated calibrations do, right what real pictures do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["draw"]

Row = dict[str, Any]
WIDTH, HEIGHT, TOP, BOTTOM = 860, 360, 46, 310
LEFT, RIGHT = (60, 400), (490, 840)
COLOURS = {"split-conformal": "#0072B2", "pac": "#009E73", "quantile": "#D55E00"}
NAMES = {"split-conformal": "on average", "pac": "90 % sure", "quantile": "plain quantile"}


def draw(rows: Sequence[Row]) -> str:
    """The SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_simulated([row for row in rows if row["source"] == "simulated" and row["requested"] == 0.01]),
        *_real([row for row in rows if row["rest"] is not None and row["rule"] != "quantile"]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _simulated(rows: Sequence[Row]) -> list[str]:
    sizes = sorted({row["n"] for row in rows})
    low, high = math.log(min(sizes)), math.log(max(sizes))
    top = 0.04

    def place(n: float, share: float) -> tuple[float, float]:
        across = LEFT[0] + (math.log(n) - low) / (high - low) * (LEFT[1] - LEFT[0])
        return across, BOTTOM - min(share, top) / top * (BOTTOM - TOP)

    parts = [_text(LEFT[0], 20, "Simulated, 1 % asked for: false alarms", bold=True)]
    parts.append(_text(LEFT[0], 36, "thick: mean; thin: worst tenth of calibrations; dashes: asked for"))
    parts += _axes(LEFT, [(place(n, 0)[0], str(n)) for n in sizes], top, "good pictures to calibrate with")
    asked = place(1, 0.01)[1]
    parts.append(f'<path d="M{LEFT[0]} {asked:.1f}H{LEFT[1]}" stroke="#222" stroke-dasharray="5 4" fill="none"/>')
    for rule, colour in COLOURS.items():
        mine = sorted((row for row in rows if row["rule"] == rule), key=lambda row: row["n"])
        for name, width in (("mean", 2.5), ("worst_tenth", 1)):
            points = [place(row["n"], row[name]) for row in mine]
            parts += _line(points, colour, width)
    return parts + _legend(LEFT[1] - 130)


def _real(rows: Sequence[Row]) -> list[str]:
    top = max([0.06, *(row["promised"] for row in rows)])

    def place(promised: float, share: float) -> tuple[float, float]:
        return RIGHT[0] + promised / top * (RIGHT[1] - RIGHT[0]), BOTTOM - min(share, top) / top * (BOTTOM - TOP)

    parts = [_text(RIGHT[0], 20, "Real good pictures, split at random: mean false alarms", bold=True)]
    parts.append(_text(RIGHT[0], 36, "below the dashes: fewer than promised"))
    ticks = [(place(step / 100, 0)[0], f"{step} %") for step in range(int(top * 100) + 1)]
    parts += _axes(RIGHT, ticks, top, "promised")
    (x0, y0), (x1, y1) = place(0, 0), place(top, top)
    parts.append(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="#222" stroke-dasharray="5 4"/>')
    for row in rows:
        x, y = place(row["promised"], row["mean"])
        title = f"{row['source']}, {row['n']} pictures, {NAMES[row['rule']]}"
        colour = COLOURS[row["rule"]]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" fill-opacity="0.7">')
        parts.append(f"<title>{title}</title></circle>")
    return parts


def _axes(span: tuple[int, int], ticks: Sequence[tuple[float, str]], top: float, label: str) -> list[str]:
    parts = [f'<path d="M{span[0]} {TOP}V{BOTTOM}H{span[1]}" stroke="#222" fill="none"/>']
    parts += [_text(x, BOTTOM + 16, text, anchor="middle") for x, text in ticks]
    parts.append(_text((span[0] + span[1]) / 2, BOTTOM + 36, label, anchor="middle"))
    for step in range(round(top * 100) + 1):
        y = BOTTOM - step / 100 / top * (BOTTOM - TOP)
        parts.append(f'<path d="M{span[0] - 4} {y:.1f}H{span[0]}" stroke="#222"/>')
        parts.append(_text(span[0] - 8, y + 4, f"{step} %", anchor="end"))
    return parts


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> list[str]:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
    return [f'<path d="M{path}" stroke="{colour}" stroke-width="{width}" fill="none"/>', *dots]


def _legend(x: float) -> list[str]:
    parts = []
    for number, (rule, colour) in enumerate(COLOURS.items()):
        y = TOP + 14 + 18 * number
        parts.append(f'<path d="M{x} {y}h22" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(_text(x + 28, y + 4, NAMES[rule]))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{text}</text>'
