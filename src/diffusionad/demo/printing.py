"""The print on the part: a scale around the bore, an index triangle and a part number, drawn with plain strokes."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from diffusionad.demo.fields import Field, blurred, clouds
from diffusionad.demo.traits import Traits, to_canvas

__all__ = ["NUMBER_BOXES", "SCALE_RING", "printed_ink"]

SCALE_RING = (0.43, 0.50)
"""Inner and outer radius of the printed scale, one mark every ten degrees."""

_PART_NUMBER = "DA-4172"
_GLYPH_WIDTH, _GLYPH_HEIGHT, _GLYPH_STEP, _BASELINE = 0.078, 0.125, 0.112, 0.70
_STROKES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "-": (((0.15, 0.55), (0.70, 0.55)),),
    "1": (((0.15, 0.22), (0.50, 0.0), (0.50, 1.0)),),
    "2": (((0.0, 0.24), (0.14, 0.05), (0.45, 0.0), (0.76, 0.06), (0.88, 0.27), (0.76, 0.50), (0.0, 1.0), (0.92, 1.0)),),
    "4": (((0.68, 1.0), (0.68, 0.0), (0.0, 0.70), (0.95, 0.70)),),
    "7": (((0.0, 0.0), (0.88, 0.0), (0.35, 1.0)),),
    "A": (((0.0, 1.0), (0.46, 0.0), (0.92, 1.0)), ((0.16, 0.66), (0.76, 0.66))),
    "D": (((0.0, 0.0), (0.0, 1.0), (0.45, 1.0), (0.80, 0.82), (0.92, 0.5), (0.80, 0.18), (0.45, 0.0), (0.0, 0.0)),),
}

NUMBER_BOXES = tuple(
    (
        (place - (len(_PART_NUMBER) - 1) / 2) * _GLYPH_STEP - _GLYPH_WIDTH / 2,
        _BASELINE - _GLYPH_HEIGHT,
        _GLYPH_WIDTH,
        _GLYPH_HEIGHT,
    )
    for place in range(len(_PART_NUMBER))
)
"""(left, top, width, height) of every character of the part number, in part coordinates."""


def printed_ink(traits: Traits, rng: np.random.Generator, count: int) -> Field:
    """The ink, 0..1: scale marks, index triangle and part number, unevenly inked."""
    sheet = PillowImage.new("L", (count, count))
    pen = ImageDraw.Draw(sheet)
    shift = np.array(traits.print_shift)

    def stroke(points: list[tuple[float, float]], width: float) -> None:
        path = to_canvas(traits, np.array(points) + shift, count)
        pen.line([(float(x), float(y)) for x, y in path], 255, max(1, round(width * count / 2)), joint="curve")

    for degrees in range(0, 360, 10):
        direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        outer = SCALE_RING[1] if degrees % 30 == 0 else SCALE_RING[1] - 0.03
        stroke([tuple(direction * SCALE_RING[0]), tuple(direction * outer)], 0.015)
    triangle = to_canvas(traits, np.array([(-0.045, -0.68), (0.045, -0.68), (0.0, -0.60)]) + shift, count)
    pen.polygon([(float(x), float(y)) for x, y in triangle], fill=255)
    for character, (left, top, width, height) in zip(_PART_NUMBER, NUMBER_BOXES, strict=True):
        for line in _STROKES[character]:
            stroke([(left + a * width, top + b * height) for a, b in line], 0.022)
    ink = blurred(np.asarray(sheet, np.float32) / np.float32(255), 0.004 * count / 2)
    uneven = np.clip(0.93 + 0.07 * clouds(rng, count, 24, 1), 0, 1)
    return cast("Field", ink * uneven * np.float32(traits.ink))
