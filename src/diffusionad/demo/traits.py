"""What differs from one good part, and one moment at the camera, to the next; and where that puts the part.

Lengths are in half pictures: the picture spans -1..1, x to the right, y down. The canvas is twice the picture's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.demo.fields import Field

__all__ = ["Traits", "draw_traits", "to_canvas", "to_part"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What differs from one good part, and one moment at the camera, to the next.

    Attributes:
        angle: rotation in radians, clockwise as seen.
        shift: (x, y) of the part's centre in half pictures.
        zoom: part's size over the nominal size.
        light: (x, y, z) of the lamp in half pictures, z towards the camera.
        exposure: factor on all light.
        ambient: share of light that comes from everywhere.
        tone: (red, green, blue) factors of the metal.
        belt_tone: (red, green, blue) factors of the belt.
        print_shift: (x, y) by which the print misses its nominal place, in half pictures.
        ink: darkness of the print, 0..1.
        focus: blur of the lens in picture pixels at 256.
        sensor_noise: standard deviation of the sensor's noise at full light, in 0..1.
    """

    angle: float
    shift: tuple[float, float]
    zoom: float
    light: tuple[float, float, float]
    exposure: float
    ambient: float
    tone: tuple[float, float, float]
    belt_tone: tuple[float, float, float]
    print_shift: tuple[float, float]
    ink: float
    focus: float
    sensor_noise: float


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draw one part's pose, light and finish."""
    azimuth = rng.uniform(-2.3, -2.0)
    reach = rng.uniform(1.7, 1.9)
    warm = rng.normal(0.010, 0.010)
    return Traits(
        angle=float(np.clip(rng.normal(0, 0.010), -0.025, 0.025)),
        shift=(float(rng.uniform(-0.01, 0.01)), float(rng.uniform(-0.01, 0.01))),
        zoom=float(rng.uniform(0.995, 1.005)),
        light=(float(reach * np.cos(azimuth)), float(reach * np.sin(azimuth)), float(rng.uniform(1.9, 2.1))),
        exposure=float(rng.uniform(0.94, 1.06)),
        ambient=float(rng.uniform(0.29, 0.33)),
        tone=(float(0.985 + warm), 0.985, float(1.0 - warm)),
        belt_tone=(float(0.82 + warm), 0.96, float(0.98 - warm)),
        print_shift=(float(rng.normal(0, 0.004)), float(rng.normal(0, 0.003))),
        ink=float(rng.uniform(0.76, 0.95)),
        focus=float(rng.uniform(0.45, 0.75)),
        sensor_noise=float(rng.uniform(0.010, 0.016)),
    )


def to_canvas(traits: Traits, points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Part coordinates [K, 2] (u, v) to canvas pixels [K, 2] (column, row) on a canvas of `count` pixels a side."""
    cosine, sine = np.cos(traits.angle) * traits.zoom, np.sin(traits.angle) * traits.zoom
    x = cosine * points[:, 0] - sine * points[:, 1] + traits.shift[0]
    y = sine * points[:, 0] + cosine * points[:, 1] + traits.shift[1]
    return np.stack([(x + 1) * count / 2 - 0.5, (y + 1) * count / 2 - 0.5], axis=1)


def to_part(traits: Traits, count: int) -> tuple[Field, Field]:
    """Part coordinates (u, v), [count, count] each, of every pixel of a canvas of `count` pixels a side."""
    axis = (np.arange(count, dtype=np.float32) + 0.5) * np.float32(2 / count) - 1
    x, y = axis[None, :] - np.float32(traits.shift[0]), axis[:, None] - np.float32(traits.shift[1])
    cosine, sine = np.float32(np.cos(traits.angle) / traits.zoom), np.float32(np.sin(traits.angle) / traits.zoom)
    return cosine * x + sine * y, cosine * y - sine * x
