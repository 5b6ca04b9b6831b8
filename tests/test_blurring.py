"""A blur is the Gaussian's sum over neighbours; an enlargement is the bilinear one, at every factor that is allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from diffusionad.blurring import WIDEST, blurred, enlarged, resized


@pytest.mark.parametrize("width", [0.7, 2.0, 3.0])  # the last is wider than what is filtered along the rows
def test_a_blur_is_the_sum_worked_out_in_numpy(width: float) -> None:
    maps = torch.randn(2, 3, 20, 26, generator=torch.Generator().manual_seed(1))
    reach = int(np.ceil(3 * width))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, axis=(2, 3))
    expected = np.einsum("bchwyx,yx->bchw", windows, kernel)
    np.testing.assert_allclose(blurred(maps, width).numpy(), expected, atol=1e-5)
    assert (reach > WIDEST) == (width == 3.0)


@pytest.mark.parametrize("times", range(2, 9))
def test_an_enlargement_is_the_bilinear_one(times: int) -> None:
    maps = torch.randn(2, 3, 7, 10, generator=torch.Generator().manual_seed(times))
    expected = interpolate(maps, scale_factor=times, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged(maps, times), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(7, 10), (21, 80), (16, 11), (5, 6)])
def test_a_map_of_another_size_is_the_bilinear_one(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, 7, 10, generator=torch.Generator().manual_seed(1))
    expected = interpolate(maps, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(resized(maps, size), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(resized(maps[:, 0], size), expected[:, 0], atol=1e-5, rtol=0)
