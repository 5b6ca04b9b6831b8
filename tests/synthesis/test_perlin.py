"""Statistics and laws of the noise that cuts the masks."""

from __future__ import annotations

import numpy as np
import pytest

from diffusionad.synthesis.perlin import perlin, perlin_mask


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_mean_is_zero_and_the_spread_is_that_of_gradient_noise() -> None:
    fields = np.stack([perlin(rng(seed), (64, 64), (4, 4), degrees=seed) for seed in range(100)])
    means = fields.mean(axis=(1, 2))
    assert abs(means.mean()) < 4 * means.std() / 10
    assert 0.25 < fields.std() < 0.36
    assert abs((fields > 0).mean() - 0.5) < 0.05


@pytest.mark.parametrize("cells", [(1, 1), (2, 32), (32, 32), (7, 3)])
@pytest.mark.parametrize("degrees", [0.0, 30.0, -90.0])
def test_values_lie_in_minus_one_to_one(cells: tuple[int, int], degrees: float) -> None:
    field = perlin(rng(0), (60, 44), cells, degrees)
    assert field.shape == (60, 44)
    assert field.dtype == np.float32
    assert 0.2 < np.abs(field).max() <= 1.0


@pytest.mark.parametrize("degrees", [0.0, 20.0, -67.0])
def test_neighbours_differ_little(degrees: float) -> None:
    """A cell of 64 pixels changes by less than four a cell; a seam between cells would be ten times as much."""
    for seed in range(10):
        field = perlin(rng(seed), (128, 128), (2, 2), degrees)
        assert max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in (0, 1)) < 4 / 64


def test_the_noise_is_zero_on_the_lattice() -> None:
    # 9 cells on 9 pixels: every pixel's middle is a node
    np.testing.assert_allclose(perlin(rng(0), (9, 9), (9, 9)), 0, atol=1e-5)
    assert np.abs(perlin(rng(0), (18, 18), (9, 9))).max() > 0.3


def test_a_quarter_turn_turns_the_picture() -> None:
    upright = perlin(rng(1), (48, 48), (3, 5))
    np.testing.assert_allclose(perlin(rng(1), (48, 48), (3, 5), 90.0), upright[:, ::-1].T, atol=1e-5)
    assert np.abs(perlin(rng(1), (48, 48), (3, 5), 45.0) - upright).max() > 0.3


def test_cells_are_counted_along_height_and_width() -> None:
    def changes(axis: int, cells: tuple[int, int]) -> float:
        fields = [perlin(rng(seed), (128, 128), cells) for seed in range(10)]
        return float(np.mean([(np.diff(np.sign(field), axis=axis) != 0).sum() / 128 for field in fields]))

    coarse, middle, fine = (changes(1, (cells, cells)) for cells in (2, 8, 32))
    assert 3 * coarse < middle
    assert 3 * middle < fine
    assert changes(0, (16, 2)) > 3 * changes(1, (16, 2))


def test_the_generator_decides_all() -> None:
    np.testing.assert_array_equal(perlin(rng(5), (32, 32), (4, 4)), perlin(rng(5), (32, 32), (4, 4)))
    assert not np.array_equal(perlin(rng(5), (32, 32), (4, 4)), perlin(rng(6), (32, 32), (4, 4)))
    np.testing.assert_array_equal(perlin_mask(rng(5), (32, 32)), perlin_mask(rng(5), (32, 32)))


def test_masks_have_the_papers_areas() -> None:
    chance = rng(0)
    masks = [perlin_mask(chance, (64, 64)) for _ in range(200)]
    areas = np.array([mask.mean() for mask in masks])
    assert masks[0].dtype == np.bool_
    low, middle, high = np.quantile(areas, [0.1, 0.5, 0.9])
    assert low > 0.01
    assert 0.02 < middle < 0.08
    assert high < 0.12
    assert (areas == 0).mean() < 0.15


def test_coarser_masks_have_larger_pieces() -> None:
    def edges(largest_exponent: int) -> float:
        chance, total, area = rng(1), 0, 0
        for _ in range(60):
            mask = perlin_mask(chance, (64, 64), largest_exponent)
            total += int(np.count_nonzero(np.diff(mask, axis=0)) + np.count_nonzero(np.diff(mask, axis=1)))
            area += int(mask.sum())
        return total / area

    assert 1.5 * edges(2) < edges(5)
