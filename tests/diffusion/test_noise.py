"""Noise with structure: moments, octaves, and the lattice against loops written anew."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffusionad.diffusion import NoiseField
from diffusionad.diffusion import noise as module


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("lattice", ["simplex", "perlin"])
@pytest.mark.parametrize("octaves", [1, 6])
def test_zero_mean_and_unit_variance_so_that_sigma_keeps_its_meaning(lattice: str, octaves: int) -> None:
    field = NoiseField(lattice, (32, 48), octaves, 0.8, 4.0)  # type: ignore[arg-type]
    drawn = field(rng(0), 600, 1, 32, 48)
    assert (drawn.shape, drawn.dtype) == ((600, 1, 32, 48), np.float32)
    assert abs(drawn.mean()) < 0.02
    assert drawn.std() == pytest.approx(1, abs=0.03)
    channels = field(rng(1), 2, 3, 32, 48).reshape(6, -1)
    assert np.abs(np.corrcoef(channels) - np.eye(6)).max() < 0.5  # every channel is drawn on its own


@pytest.mark.parametrize("lattice", ["simplex", "perlin"])
def test_neighbours_are_alike_and_more_octaves_make_them_less_so(lattice: str) -> None:
    def likeness(octaves: int) -> float:
        drawn = NoiseField(lattice, (64, 64), octaves, 0.8, 4.0)(rng(0), 20, 1, 64, 64)  # type: ignore[arg-type]
        return float((drawn[..., 1:] * drawn[..., :-1]).mean())

    assert likeness(1) > 0.95
    assert likeness(1) > likeness(3) > likeness(6) > 0.3


def simplex_at(y: float, x: float, gradient: dict[tuple[int, int], tuple[float, float]]) -> float:
    """Perlin 2002, one place: every lattice point near enough to matter, not only the triangle's."""
    total = 0.0
    for (i, j), (down, right) in gradient.items():
        shift = (i + j) * (3 - math.sqrt(3)) / 6
        way_y, way_x = y - (i - shift), x - (j - shift)
        falloff = max(0.0, 0.5 - way_y**2 - way_x**2) ** 4
        total += falloff * (way_y * down + way_x * right)
    return total


def perlin_at(y: float, x: float, gradient: dict[tuple[int, int], tuple[float, float]]) -> float:
    def fade(along: float) -> float:
        return 6 * along**5 - 15 * along**4 + 10 * along**3

    total = 0.0
    for (i, j), (down, right) in gradient.items():
        way_y, way_x = y - i, x - j
        if abs(way_y) < 1 and abs(way_x) < 1:
            total += (1 - fade(abs(way_y))) * (1 - fade(abs(way_x))) * (way_y * down + way_x * right)
    return total


@pytest.mark.parametrize(("corners", "reference"), [("_simplex", simplex_at), ("_perlin", perlin_at)])
def test_weights_are_those_of_the_definition(corners: str, reference) -> None:
    chance = rng(3)
    gradient = {
        (i, j): (math.sin(phase), math.cos(phase))
        for i in range(-3, 9)
        for j in range(-3, 9)
        for phase in [chance.uniform(0, 2 * math.pi)]
    }
    y, x = chance.uniform(0, 3, (2, 5, 7))
    row, column, weight = getattr(module, corners)(y, x)
    for at in np.ndindex(y.shape):
        got = sum(
            float(np.dot(weight[(k, *at)], gradient[(int(row[(k, *at)]), int(column[(k, *at)]))]))
            for k in range(len(row))
        )
        assert got == pytest.approx(reference(y[at], x[at], gradient), abs=1e-12)


def test_the_generator_decides_all_and_another_size_is_refused() -> None:
    field = NoiseField("simplex", (16, 16), 3, 0.5, 2.0)
    np.testing.assert_array_equal(field(rng(5), 2, 3, 16, 16), field(rng(5), 2, 3, 16, 16))
    assert not np.array_equal(field(rng(5), 1, 16, 16), field(rng(6), 1, 16, 16))
    with pytest.raises(ValueError, match="is made for"):
        field(rng(0), 1, 16, 32)
