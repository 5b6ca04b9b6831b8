"""Difference maps against scipy and against bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusionad.differences import DIFFERENCES, squared, ssim


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def test_ssim_is_the_formula_of_wang_with_scipys_window() -> None:
    one, other = drawn(1, 1, 30, 24), drawn(1, 1, 30, 24, seed=1)

    def blurred(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, 1.5, mode="constant", radius=5)

    x, y = (one[0, 0].numpy() + 1) / 2, (other[0, 0].numpy() + 1) / 2
    mx, my = blurred(x), blurred(y)
    vx, vy, vxy = blurred(x * x) - mx**2, blurred(y * y) - my**2, blurred(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    expected = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    np.testing.assert_allclose(ssim(one, other)[0].numpy(), (1 - expected) / 2, atol=1e-9)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_maps_lie_in_0_to_1_are_0_for_equal_images_and_know_no_order(name: str) -> None:
    one, other = drawn(2, 3, 16, 20), drawn(2, 3, 16, 20, seed=1)
    apart = DIFFERENCES[name](one, other)
    assert apart.shape == (2, 16, 20)
    assert 0 <= apart.min() <= apart.max() <= 1
    assert DIFFERENCES[name](one, one).abs().max() < 1e-9
    torch.testing.assert_close(apart, DIFFERENCES[name](other, one))


def test_black_and_white_lie_a_squared_1_apart() -> None:
    white = torch.ones(1, 3, 4, 4)
    assert torch.equal(squared(white, -white), torch.ones(1, 4, 4))
