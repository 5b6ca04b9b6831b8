"""Laws of normality: each place has its own habit; distances are Mahalanobis's, their unit what good ones reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from diffusionad.normality import NEIGHBOURHOOD, NOISE, USUAL, Normality

SIZE = (24, 32)
WIDTHS = (1 / 24, 1 / 12)
"""One and two pixels."""


def residuals(count: int, seed: int = 0, scale: Tensor | float = 0.1) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(3, *SIZE, generator=chance) * scale for _ in range(count)]


def fitted(training: list[Tensor], held_out: list[Tensor] | None = None) -> Normality:
    normality = Normality(3, SIZE, WIDTHS)
    normality.fit(training, held_out or residuals(4, seed=9))
    return normality


def test_before_it_is_fitted_nothing_deviates() -> None:
    assert torch.equal(Normality(3, SIZE, WIDTHS)(torch.stack(residuals(2))), torch.zeros(2, *SIZE))


def test_it_is_the_mahalanobis_distance_worked_out_place_by_place_in_numpy() -> None:
    training, seen = residuals(20), residuals(1, seed=5, scale=0.3)[0]

    def features(residual: Tensor) -> np.ndarray:
        blurs = [
            (gaussian_filter(plane, width, mode="nearest", truncate=3))
            for width in (1.0, 2.0)
            for plane in residual.double().numpy()
        ]
        return np.stack(blurs)

    table = np.stack([features(residual) for residual in training])
    count, size = table.shape[:2]
    centred = table - table.mean(axis=0)
    outer = np.einsum("nfhw,nghw->fghw", centred, centred) / count
    width = NEIGHBOURHOOD * 24
    reach = max(1, int(np.ceil(3 * width)))
    here = np.stack(
        [gaussian_filter(plane, width, mode="nearest", radius=reach) for plane in outer.reshape(-1, *SIZE)]
    ).reshape(outer.shape)
    drawn = size / (size + count)
    covariance = (1 - drawn) * here + drawn * here.mean(axis=(2, 3), keepdims=True)
    off = features(seen) - table.mean(axis=0)
    normality = fitted(training)
    got = normality(seen[None])[0] + normality.offset
    for row, column in ((0, 0), (11, 17), (23, 31)):
        here_covariance = covariance[:, :, row, column] + NOISE**2 * np.eye(size)
        there = off[:, row, column]
        squared = there @ np.linalg.solve(here_covariance, there) / size
        assert got[row, column].item() == pytest.approx(0.5 * np.log(squared + 1e-4), abs=2e-3)


def test_the_unit_is_what_the_given_share_of_good_pixels_stays_below() -> None:
    held_out = residuals(6, seed=3)
    deviations = fitted(residuals(40), held_out)(torch.stack(held_out))
    assert (deviations < 0).float().mean().item() == pytest.approx(USUAL, abs=0.003)


def test_the_same_residual_is_usual_where_good_parts_have_it_and_unusual_elsewhere() -> None:
    scale = torch.full(SIZE, 0.02)
    scale[:, :16] = 0.3
    normality = fitted(residuals(60, scale=scale), residuals(4, seed=9, scale=scale))
    strange = torch.zeros(1, 3, *SIZE)
    strange[..., 8:12, 4:8] = strange[..., 8:12, 22:26] = 0.2
    deviation = normality(strange)[0]
    assert deviation[8:12, 4:8].max() < 0 < deviation[8:12, 22:26].min()


def test_a_residual_that_every_good_picture_has_is_no_deviation() -> None:
    habit = torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(1))
    training = [residual + habit for residual in residuals(40)]
    normality = fitted(training, [residual + habit for residual in residuals(4, seed=9)])
    assert normality(habit[None]).max() < 0 < normality(-habit[None]).median()


@pytest.mark.parametrize("case", ["grey", "constant", "two", "one"])
def test_poor_pictures_still_give_finite_distances(case: str) -> None:
    training = {
        "grey": [residual[:1].repeat(3, 1, 1) for residual in residuals(8)],
        "constant": [torch.zeros(3, *SIZE) for _ in range(8)],
        "two": residuals(2),
        "one": residuals(1),
    }[case]
    normality = fitted(training)
    quiet, loud = normality(torch.zeros(1, 3, *SIZE)), normality(torch.stack(residuals(1, seed=4, scale=1.0)))
    assert torch.isfinite(quiet).all()
    assert torch.isfinite(loud).all()
    assert loud.mean() > quiet.mean() + 0.5


def test_the_order_of_the_pictures_does_not_matter() -> None:
    training = residuals(12)
    seen = torch.stack(residuals(1, seed=4))
    torch.testing.assert_close(fitted(training)(seen), fitted(training[::-1])(seen), rtol=0, atol=1e-5)


def test_alone_or_in_a_batch_is_the_same() -> None:
    normality, seen = fitted(residuals(12)), torch.stack(residuals(3, seed=4))
    for index in range(3):
        torch.testing.assert_close(normality(seen[index : index + 1])[0], normality(seen)[index], rtol=0, atol=1e-6)


def test_pooled_it_is_one_mahalanobis_distance_over_all_places() -> None:
    training, seen = residuals(20), residuals(1, seed=5, scale=0.3)[0]
    normality = Normality(3, SIZE, WIDTHS, pooled=True)
    normality.fit(training, residuals(4, seed=9))
    assert normality.mean.shape == (6, 1, 1)
    table = (
        torch.cat([normality._features(residual[None])[0].flatten(1) for residual in training], dim=1).double().numpy()
    )
    covariance = np.cov(table, bias=True) + NOISE**2 * np.eye(6)
    off = normality._features(seen[None])[0].flatten(1).double().numpy() - table.mean(axis=1, keepdims=True)
    squared = (off * np.linalg.solve(covariance, off)).sum(axis=0) / 6
    got = normality(seen[None])[0].flatten() + normality.offset
    np.testing.assert_allclose(got.numpy(), 0.5 * np.log(squared + 1e-4), atol=2e-3)


def test_pooled_a_moved_residual_deviates_as_much_where_it_is_moved_to() -> None:
    normality = Normality(3, SIZE, WIDTHS, pooled=True)
    normality.fit(residuals(20), residuals(4, seed=9))
    strange = torch.zeros(1, 3, *SIZE)
    strange[..., 10:13, 8:11] = 0.5
    here, there = normality(strange)[0], normality(strange.roll(12, dims=-1))[0]
    torch.testing.assert_close(here[4:20, 2:18], there[4:20, 14:30], rtol=0, atol=1e-5)
