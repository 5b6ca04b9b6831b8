"""The good part: a brushed aluminium flange with a turned boss, four screw holes, a printed scale and a part number.

Lengths are in half pictures: the picture spans -1..1, x to the right, y down. The canvas is twice the picture's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image as PillowImage

from diffusionad.demo.fields import Field, blurred, clouds, soft_step
from diffusionad.demo.printing import printed_ink
from diffusionad.demo.traits import Traits, to_part

__all__ = [
    "BODY",
    "BORE",
    "HOLE",
    "HOLE_CENTRES",
    "Surface",
    "body_distance",
    "build_surface",
]

BODY, CORNER = 0.80, 0.24
"""Half side of the square body and radius of its corners."""

BORE, BOSS = 0.25, 0.37
"""Radius of the central bore and of the turned boss around it."""

HOLE, COUNTERSINK = 0.075, 0.045
"""Radius of a screw hole and width of its countersink."""

HOLE_CENTRES = ((-0.56, -0.56), (0.56, -0.56), (-0.56, 0.56), (0.56, 0.56))


@dataclass(frozen=True, slots=True)
class Surface:
    """What lies under the camera, before any light. All but `belt` are [N, N] on the canvas, N = 2 x picture size.

    Attributes:
        u, v: part coordinates of every canvas pixel.
        height: of the part, in half pictures, against its rim's foot.
        cover: 1 where there is part, 0 where the belt shows.
        albedo: diffuse reflectivity of the part, 0..1.
        gloss: factor on the mirror-like light of the part, 1 for clean metal.
        ink: print on the part, 0..1.
        film: optical thickness of liquid or dirt on top; 0 is clean.
        brush_x, brush_y: unit direction of the machining marks in the picture.
        belt: [N / 2, N / 2] brightness of the belt, about 1.
    """

    u: Field
    v: Field
    height: Field
    cover: Field
    albedo: Field
    gloss: Field
    ink: Field
    film: Field
    brush_x: Field
    brush_y: Field
    belt: Field


def body_distance(u: Field, v: Field) -> Field:
    """Signed distance to the outline of the body, negative inside; a rounded square."""
    over_u, over_v = np.abs(u) - (BODY - CORNER), np.abs(v) - (BODY - CORNER)
    outside = _length(np.maximum(over_u, 0), np.maximum(over_v, 0))
    return cast("Field", outside + np.minimum(np.maximum(over_u, over_v), 0) - np.float32(CORNER))


def build_surface(traits: Traits, rng: np.random.Generator, size: int) -> Surface:
    """Machine and print one good part for a picture of `size` pixels; the canvas has 2 x `size` pixels a side."""
    count = 2 * size
    u, v = to_part(traits, count)
    radius = _length(u, v)
    from_bore = radius - np.float32(BORE)
    corner_u, corner_v = np.abs(u) - np.float32(HOLE_CENTRES[3][0]), np.abs(v) - np.float32(HOLE_CENTRES[3][1])
    from_hole = _length(corner_u, corner_v) - np.float32(HOLE)
    from_rim = -body_distance(u, v)
    pixel = np.float32(2 / count)
    bore_wall = np.float32(0.03)
    cover = np.clip(np.minimum(np.minimum(from_rim, from_hole), from_bore + bore_wall) / pixel + 0.5, 0, 1)

    height = 0.85 * np.clip(from_rim, 0, 0.045) + 0.020 * soft_step(radius, BOSS + 0.02, BOSS - 0.005)
    height += 0.8 * (np.clip(from_hole, 0, COUNTERSINK) - COUNTERSINK)
    height += 0.9 * (np.clip(from_bore, 0, 0.028) - 0.028) + 2.5 * np.clip(from_bore, -bore_wall, 0)
    height = blurred(height, 0.0045 * count / 2)

    turned = soft_step(radius, BOSS + 0.01, BOSS - 0.01)
    brushed = _brushed(traits, rng, count)
    rings = _turned(rng, radius)
    height += np.float32(0.0008) * (brushed * (1 - turned) + rings * turned) * np.float32(256 / count)
    finish = clouds(rng, count, 4, 2)
    albedo = 0.40 + 0.024 * brushed * (1 - turned) + 0.05 * turned + 0.03 * rings * turned + 0.012 * finish

    cosine, sine = np.float32(np.cos(traits.angle)), np.float32(np.sin(traits.angle))
    safe = np.maximum(radius, 1e-3)
    tangent_u, tangent_v = turned * (-v / safe) + (1 - turned), turned * (u / safe)
    return Surface(
        u=u,
        v=v,
        height=height,
        cover=cover,
        albedo=albedo,
        gloss=1 + 0.06 * finish,
        ink=printed_ink(traits, rng, count),
        film=np.zeros((count, count), np.float32),
        brush_x=(cosine * tangent_u - sine * tangent_v).astype(np.float32),
        brush_y=(sine * tangent_u + cosine * tangent_v).astype(np.float32),
        belt=_belt(rng, size),
    )


def _length(a: Field, b: Field) -> Field:
    """Euclidean length; several times as fast as np.hypot, which guards against overflow."""
    return cast("Field", np.sqrt(a * a + b * b))


def _brushed(traits: Traits, rng: np.random.Generator, count: int) -> Field:
    """Brush marks along u, about unit variance: grain averaged along the rows, then turned with the part.

    Drawn at a quarter of the canvas's width, since the marks are long, and larger than the part, to be turned inside.
    """
    rows, columns = count + count // 6, (count + count // 6) // 4
    length = max(2, count // 24)
    sums = np.cumsum(rng.standard_normal((rows, columns + length), np.float32), axis=1)
    marks = (sums[:, length:] - sums[:, :-length]) / np.float32(np.sqrt(length))
    marks = np.float32(0.8) * marks + np.float32(0.6) * np.roll(marks, 1, axis=0)
    cosine, sine, half = float(np.cos(traits.angle)), float(np.sin(traits.angle)), count / 2
    to_column = (cosine / 4, sine / 4, columns / 2 - (cosine + sine) * half / 4)
    to_row = (-sine, cosine, rows / 2 - (cosine - sine) * half)
    sheet = PillowImage.fromarray(marks)
    picked = sheet.transform(
        (count, count), PillowImage.Transform.AFFINE, to_column + to_row, PillowImage.Resampling.BILINEAR
    )
    return np.asarray(picked, np.float32)


def _turned(rng: np.random.Generator, radius: Field) -> Field:
    """Lathe marks: a random groove profile over the radius."""
    profile = blurred(rng.standard_normal((1, 512), np.float32), 0.8)[0] * np.float32(1.3)
    return cast("Field", profile[(radius * np.float32(340)).astype(np.intp)])


def _belt(rng: np.random.Generator, size: int) -> Field:
    """Rubber belt, [size, size]: a fine weave of random phase, grain and worn patches."""
    axis = np.arange(size, dtype=np.float32) * np.float32(2 * np.pi * 42 / size)
    phase_x, phase_y = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    weave = np.sin(axis + phase_x)[None, :] * np.sin(axis + phase_y)[:, None]
    grain = blurred(rng.standard_normal((size, size), np.float32), 0.7)
    return cast("Field", np.maximum(1 + 0.10 * weave + 0.20 * grain + 0.12 * clouds(rng, size, 5), 0.2))
