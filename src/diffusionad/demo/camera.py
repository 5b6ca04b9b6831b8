"""Light, lens and sensor: from a surface to the picture a camera over the belt would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from diffusionad.demo.fields import Field, blurred, halved, resized

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.demo.parts import Surface
    from diffusionad.demo.traits import Traits

__all__ = ["photograph"]

_ALONG, _ACROSS = 0.16, 0.42
"""Spread of facet slopes along and across the machining marks: brushed metal stretches its highlight across."""

_FILM_ABSORBS = (0.75, 0.95, 1.30)
"""Absorption of oil and dirt per unit of thickness, for red, green and blue."""


def photograph(surface: Surface, traits: Traits, sensor_noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Light the surface and take its picture.

    Args:
        surface: canvas fields, [2 size, 2 size].
        traits: pose, lamp and camera.
        sensor_noise: [size, size, 3] standard normal; the same array gives the same picture.

    Returns:
        [size, size, 3] uint8 RGB.
    """
    metal, belt = _radiance(surface, traits)
    share = halved(surface.cover)
    film = halved(surface.film * surface.cover) / np.maximum(share, 1e-3)
    metal, belt = halved(metal * surface.cover), belt * (1 - share)
    size = share.shape[0]
    channels = [
        metal * np.float32(tone) * np.exp(-film * np.float32(absorbs)) + belt * np.float32(belt_tone)
        for tone, belt_tone, absorbs in zip(traits.tone, traits.belt_tone, _FILM_ABSORBS, strict=True)
    ]
    light = blurred(np.stack(channels), traits.focus * size / 256) * _vignette(size)
    light = np.moveaxis(light, 0, -1) * np.float32(traits.exposure)
    shot = np.sqrt(np.clip(light, 0, 1)) + np.float32(0.25)
    light = light + shot * np.float32(traits.sensor_noise) * sensor_noise
    shown = np.clip(light, 0, 1) ** np.float32(1 / 2.2)
    return cast("NDArray[np.uint8]", np.round(shown * 255).astype(np.uint8))


def _radiance(surface: Surface, traits: Traits) -> tuple[Field, Field]:
    """Light leaving the metal [N, N] and the belt [N / 2, N / 2], linear, 1 is white."""
    count = surface.height.shape[0]
    axis = (np.arange(count, dtype=np.float32) + 0.5) * np.float32(2 / count) - 1
    to_x, to_y = np.float32(traits.light[0]) - axis[None, :], np.float32(traits.light[1]) - axis[:, None]
    to_z = np.float32(traits.light[2])
    far = np.sqrt(to_x * to_x + to_y * to_y + to_z * to_z)
    slope_y, slope_x = np.gradient(surface.height, np.float32(2 / count))
    upright = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)

    # Lambert, with the normal (-slope_x, -slope_y, 1) * upright.
    facing = np.maximum(to_z - slope_x * to_x - slope_y * to_y, 0) * upright / far
    lamp = (np.float32(2.8) / far) ** 2
    diffuse = surface.albedo * (np.float32(traits.ambient) * (0.4 + 0.6 * upright) + 0.80 * lamp * facing)

    # Beckmann in slope space: the facet that mirrors the lamp into the camera has the slope -half_xy / half_z.
    off_x, off_y = -to_x / (to_z + far) - slope_x, -to_y / (to_z + far) - slope_y
    along = (off_x * surface.brush_x + off_y * surface.brush_y) / np.float32(_ALONG)
    across = (off_y * surface.brush_x - off_x * surface.brush_y) / np.float32(_ACROSS)
    mirror = np.exp(-np.minimum(along * along + across * across, 40)) * lamp
    bare = 1 - surface.ink
    metal = diffuse * (1 - 0.92 * surface.ink) + 0.46 * surface.gloss * mirror * bare

    lit, open_sky = _shadows(surface.cover, traits)
    belt = 0.075 * surface.belt * (0.30 * open_sky + 0.95 * lit * halved((lamp * to_z / far).astype(np.float32)))
    return metal.astype(np.float32), belt.astype(np.float32)


def _shadows(cover: Field, traits: Traits) -> tuple[Field, Field]:
    """Lamp light and sky light that reach the belt, [N / 2, N / 2] 0..1.

    The part's outline, thrown away from the lamp and softened.
    """
    size = cover.shape[0] // 2
    small = PillowImage.fromarray(np.round(halved(cover) * 255).astype(np.uint8))
    small = small.resize((128, 128), PillowImage.Resampling.BOX)
    throw = 128 / 2 * 0.13 / traits.light[2]
    moved = small.transform(
        small.size,
        PillowImage.Transform.AFFINE,
        (1, 0, traits.light[0] * throw, 0, 1, traits.light[1] * throw),
        PillowImage.Resampling.BILINEAR,
    ).filter(ImageFilter.GaussianBlur(1.8))
    around = small.filter(ImageFilter.GaussianBlur(4.0))
    lit = 1 - resized(np.asarray(moved, np.float32) / np.float32(255), size)
    open_sky = 1 - 0.8 * resized(np.asarray(around, np.float32) / np.float32(255), size)
    return np.clip(lit, 0, 1), np.clip(open_sky, 0, 1)


def _vignette(size: int) -> Field:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    return cast("Field", 1 - np.float32(0.09) * (axis[None, :] ** 2 + axis[:, None] ** 2))
