"""What goes wrong with a part: chip, dent, misprint, scratch and stain, done to the surface, not to the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from diffusionad.demo.fields import Field, blurred, clouds, soft_step
from diffusionad.demo.parts import BODY, BORE, HOLE, HOLE_CENTRES, Surface, body_distance
from diffusionad.demo.printing import NUMBER_BOXES, SCALE_RING
from diffusionad.demo.traits import Traits, to_canvas

if TYPE_CHECKING:
    from diffusionad.structures import BoolMap

__all__ = ["DEFECTS", "Damage", "damage"]


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged surface.

    Attributes:
        surface: the part with its defect.
        reach: [N, N] bool on the canvas, where the defect itself lies; what changes outside is only its shadow.
    """

    surface: Surface
    reach: BoolMap


def damage(kind: str, surface: Surface, traits: Traits, rng: np.random.Generator, strength: float) -> Damage:
    """Do one defect of `kind` (a key of DEFECTS) to a good surface; `strength` 1 is usual, 0.5 is subtle."""
    return DEFECTS[kind](surface, traits, rng, strength)


def _spot_on_face(rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A point (u, v) of the flat face, at least `margin` half pictures away from rim, bore and screw holes."""
    while True:
        u, v = rng.uniform(-BODY, BODY, 2)
        rim = float(body_distance(np.array([[u]], np.float32), np.array([[v]], np.float32))[0, 0])
        holes = min(float(np.hypot(u - x, v - y)) for x, y in HOLE_CENTRES)
        if rim < -margin and np.hypot(u, v) > BORE + margin and holes > HOLE + margin:
            return float(u), float(v)


def _blob(
    surface: Surface, rng: np.random.Generator, centre: tuple[float, float], radius: float, rough: float
) -> Field:
    """Distance to an irregular outline over `radius`: -1 in the middle, 0 on the outline; stretched up to 1.6 times."""
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
    du, dv = surface.u - np.float32(centre[0]), surface.v - np.float32(centre[1])
    along = (du * np.float32(np.cos(turn)) + dv * np.float32(np.sin(turn))) / np.float32(stretch)
    across = dv * np.float32(np.cos(turn)) - du * np.float32(np.sin(turn))
    ragged = clouds(rng, surface.u.shape[0], max(4, round(1.6 / radius)), 3)
    return cast("Field", np.sqrt(along * along + across * across) / np.float32(radius) - 1 + np.float32(rough) * ragged)


def _scratch(surface: Surface, traits: Traits, rng: np.random.Generator, strength: float) -> Damage:
    """A hard edge dragged over the face: a groove with thrown-up sides, bright where fresh, dark where dirty."""
    count = surface.u.shape[0]
    sheet = PillowImage.new("L", (count, count))
    pen = ImageDraw.Draw(sheet)
    start, end = np.array(_spot_on_face(rng, 0.04)), np.array(_spot_on_face(rng, 0.04))
    length = float(np.clip(np.hypot(*(end - start)), 0.45, 0.95))
    heading, bend = np.arctan2(end[1] - start[1], end[0] - start[0]), rng.normal(0, 0.12)
    width = rng.uniform(0.020, 0.034)
    forward = np.array([np.cos(heading), np.sin(heading)])
    aside = np.array([-forward[1], forward[0]])
    for track in range(1 + int(rng.random() < 0.3)):
        share = np.linspace(0, 1, 48)[:, None]
        bow = bend * length * 4 * share * (1 - share) + 0.03 * track
        wobble = np.cumsum(rng.normal(0, 0.0014, (48, 1)), axis=0)
        path = to_canvas(traits, start + forward * length * share + aside * (bow + wobble), count)
        pressure = np.clip(np.sin(np.pi * (0.06 + 0.9 * share[:, 0])) ** 0.6 + rng.normal(0, 0.06, 48), 0.15, 1)
        for (x0, y0), (x1, y1), force in zip(path[:-1], path[1:], pressure[:-1], strict=True):
            thick = max(1, round(width * (0.6 + 0.4 * force) * (1 - 0.4 * track) * count / 2))
            pen.line([(x0, y0), (x1, y1)], int(255 * force), thick)
    groove = blurred(np.asarray(sheet, np.float32) / np.float32(255), 0.004 * count / 2)
    sides = np.maximum(blurred(groove, 0.011 * count / 2) - 0.5 * groove, 0)
    fresh = rng.uniform(0.32, 0.44) if rng.random() < 0.4 else -rng.uniform(0.30, 0.42)
    return Damage(
        replace(
            surface,
            height=surface.height + np.float32(0.014 * strength) * (np.float32(0.8) * sides - groove),
            albedo=surface.albedo + np.float32(fresh * strength) * groove,
            gloss=surface.gloss * (1 - np.float32(min(0.55 * strength, 0.8)) * groove),
            ink=surface.ink * (1 - np.float32(min(0.8 * strength, 1)) * groove),
        ),
        groove + sides > 0.02,
    )


def _dent(surface: Surface, traits: Traits, rng: np.random.Generator, strength: float) -> Damage:
    """A blow: an oval hollow with a raised lip; its slopes bend the highlights."""
    radius = rng.uniform(0.085, 0.14)
    outline = np.maximum(_blob(surface, rng, _spot_on_face(rng, 0.05), radius, 0.05) + 1, 0)
    hollow = np.exp(-((outline / 0.72) ** rng.uniform(2.0, 3.2)))
    lip = np.exp(-(((outline - 1.15) / 0.28) ** 2))
    depth = rng.uniform(0.034, 0.048) * strength * (radius / 0.085)
    height = surface.height - np.float32(depth) * hollow + np.float32(0.14 * depth) * lip
    darker = surface.albedo * (1 - np.float32(0.22 * strength) * hollow)
    return Damage(replace(surface, height=height.astype(np.float32), albedo=darker.astype(np.float32)), outline < 1.45)


def _stain(surface: Surface, traits: Traits, rng: np.random.Generator, strength: float) -> Damage:
    """A drop of oil or dirty coolant dried on the metal: translucent, ragged, darker along its edge."""
    radius = rng.uniform(0.10, 0.18)
    outline = _blob(surface, rng, _spot_on_face(rng, 0.02), radius, 0.20)
    inside = soft_step(outline, 0.06, -0.06)
    edge = np.exp(-(((outline + 0.10) / 0.11) ** 2)) * inside
    uneven = np.clip(1 + 0.25 * clouds(rng, outline.shape[0], 10, 2), 0.4, 1.6)
    film = (rng.uniform(0.45, 0.70) * inside * uneven + 0.28 * edge) * np.float32(strength)
    gloss = surface.gloss * (1 - np.float32(0.25 * strength) * inside)
    return Damage(replace(surface, film=film.astype(np.float32), gloss=gloss.astype(np.float32)), outline < 0.1)


def _chip(surface: Surface, traits: Traits, rng: np.random.Generator, strength: float) -> Damage:
    """A piece broken out of the rim or the bore: the belt shows, a rough pale fracture slopes down to it."""
    if rng.random() < 0.7:
        place, side = rng.uniform(-0.68, 0.68), int(rng.integers(4))
        edge = BODY - 0.67 * max(0.0, abs(place) - 0.56)  # towards the corner the rim turns inwards
        centre = ((place, -edge), (edge, place), (place, edge), (-edge, place))[side]
    else:
        turn = rng.uniform(0, 2 * np.pi)
        centre = (BORE * float(np.cos(turn)), BORE * float(np.sin(turn)))
    radius = rng.uniform(0.10, 0.16) * (0.45 + 0.55 * strength)
    outline = _blob(surface, rng, centre, radius, 0.14)
    pixel = 2 / surface.u.shape[0] / radius
    gone = np.clip(-(outline + np.float32(rng.uniform(0.30, 0.50))) / np.float32(pixel) + 0.5, 0, 1)
    broken = soft_step(outline, pixel, -pixel)
    rough = clouds(rng, outline.shape[0], max(8, round(5 / radius)), 3)
    fall = np.float32(0.7 * radius) * np.minimum(outline, 0) + np.float32(0.006) * rough * broken
    return Damage(
        replace(
            surface,
            height=surface.height + fall,
            cover=surface.cover * (1 - gone),
            albedo=surface.albedo * (1 - broken) + (np.float32(0.42) + 0.05 * rough) * broken,
            gloss=surface.gloss * (1 - 0.75 * broken),
            ink=surface.ink * (1 - broken),
        ),
        (outline < 0.08) & (surface.cover > 0),
    )


def _misprint(surface: Surface, traits: Traits, rng: np.random.Generator, strength: float) -> Damage:
    """The printer failed: characters missing, wet ink wiped, print struck twice, or part of the scale missing."""
    count = surface.u.shape[0]
    u, v = surface.u - np.float32(traits.print_shift[0]), surface.v - np.float32(traits.print_shift[1])
    failure = ("missing", "wiped", "twice", "scale")[int(rng.integers(4))]
    if failure == "scale":
        middle, half = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(35, 60))
        away = np.abs(np.angle(np.exp(1j * (np.arctan2(v, u) - middle)))).astype(np.float32)
        radius = np.hypot(u, v)
        ring = (radius > SCALE_RING[0] - 0.03) & (radius < SCALE_RING[1] + 0.03)
        where = soft_step(away, half + 0.03, half - 0.03) * ring
    else:
        across = int(rng.integers(2, 5)) if failure == "missing" else int(rng.integers(4, 6))
        first = int(rng.integers(len(NUMBER_BOXES) - across + 1))
        left, top, _, tall = NUMBER_BOXES[first]
        last_left, _, wide, _ = NUMBER_BOXES[first + across - 1]
        where = _within(u, v, left - 0.02, top - 0.03, last_left + wide + 0.02, top + tall + 0.03)
    if failure in ("missing", "scale"):
        ink = surface.ink * (1 - np.float32(min(0.96, 0.85 * strength)) * where)
        return Damage(replace(surface, ink=ink), where > 0)
    struck = surface.ink * where
    direction = rng.choice((-1, 1))
    steps = round(rng.uniform(0.07, 0.13) * count / 2)
    lift = round(rng.uniform(-0.4, 0.4) * steps)
    if failure == "twice":
        again = np.roll(struck, (round(lift + 0.02 * count / 2), direction * max(2, steps // 3)), axis=(0, 1))
        ink = np.maximum(surface.ink, again * np.float32(min(1, 0.85 * strength)))
    else:
        ink = surface.ink * (1 - 0.35 * where)
        for step in range(1, steps, 2):
            moved = np.roll(struck, (round(lift * step / steps), direction * step), axis=(0, 1))
            ink = np.maximum(ink, moved * np.float32(min(1, 0.75 * strength) * (1 - step / steps)))
    return Damage(replace(surface, ink=ink), np.abs(ink - surface.ink) > 0.01)


def _within(u: Field, v: Field, left: float, top: float, right: float, bottom: float) -> Field:
    """1 inside the box, 0 outside, [N, N]; part coordinates."""
    beside = np.maximum(np.maximum(left - u, u - right), np.maximum(top - v, v - bottom))
    return soft_step(beside.astype(np.float32), 0.008, -0.008)


DEFECTS: dict[str, Callable[[Surface, Traits, np.random.Generator, float], Damage]] = {
    "chip": _chip,
    "dent": _dent,
    "misprint": _misprint,
    "scratch": _scratch,
    "stain": _stain,
}
"""Kind of defect to the function that does it."""
