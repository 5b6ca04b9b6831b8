"""The baselines of the paper that no package has: their equations, without their feature extractor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.distance import mahalanobis as of_scipy
from torch.distributions import Normal, kl_divergence

from diffusionad.benchmark.cutpaste import cut_paste, gaussian, mahalanobis, scar
from diffusionad.benchmark.favae import divergence
from diffusionad.benchmark.spade import nearest


def test_nearest_are_those_of_scipy() -> None:
    torch.manual_seed(0)
    queries, gallery = torch.randn(40, 7), torch.randn(300, 7)
    distances, which = nearest(queries, gallery, 5)
    expected = cdist(queries, gallery, "sqeuclidean")
    np.testing.assert_array_equal(which, np.argsort(expected, axis=1)[:, :5])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :5], rtol=1e-4, atol=1e-5)
    assert nearest(queries, gallery[:3], 5)[0].shape == (40, 3)


def test_the_distance_to_a_gaussian_is_that_of_scipy() -> None:
    torch.manual_seed(0)
    known, asked = torch.randn(50, 4, dtype=torch.float64) @ torch.randn(4, 4, dtype=torch.float64), torch.randn(6, 4)
    mean, inverse = gaussian(known)
    covariance = np.cov(known.numpy(), rowvar=False)
    held = np.eye(4) * np.diag(covariance).mean() * 0.01
    np.testing.assert_allclose(inverse, np.linalg.inv(covariance + held), rtol=1e-6, atol=1e-9)
    expected = [0.5 * of_scipy(one, mean.numpy(), inverse.numpy()) ** 2 for one in asked.double().numpy()]
    np.testing.assert_allclose(mahalanobis(asked.double(), mean, inverse), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_pasted_rectangles_have_the_area_and_shape_of_the_paper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = np.arange(3 * 128 * 128, dtype=np.float32).reshape(3, 128, 128)
    for _ in range(20):
        ys, xs = np.nonzero((cut_paste(picture, rng) != picture).any(axis=0))
        tall, broad = np.ptp(ys) + 1, np.ptp(xs) + 1
        assert 0.017 <= tall * broad / 128**2 <= 0.155
        assert 1 / 3.5 <= tall / broad <= 3.5


def test_scars_are_thin_and_turned() -> None:
    rng = np.random.default_rng(0)
    picture = np.arange(3 * 128 * 128, dtype=np.float32).reshape(3, 128, 128)
    areas, sides = [], []
    for _ in range(200):
        changed = (scar(picture, rng) != picture).any(axis=0)
        ys, xs = np.nonzero(changed)
        areas.append(changed.sum())
        sides.append(max(np.ptp(ys), np.ptp(xs)) + 1)
    assert max(areas) <= 16 * 25 * 1.15
    assert 90 <= np.median(areas) <= 160
    assert 10 <= max(sides) <= 31


def test_a_picture_as_small_as_the_patch_still_takes_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert cut_paste(np.zeros((3, 8, 8), np.float32), rng).shape == (3, 8, 8)


def test_the_divergence_is_that_of_torch() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum((1, 2, 3))
    torch.testing.assert_close(divergence(mean, log_variance), expected)
