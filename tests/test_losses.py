"""Losses against the formulas of the paper, written out anew."""

from __future__ import annotations

import math

import pytest
import torch

from diffusionad.config import resolve
from diffusionad.diffusion import Schedule
from diffusionad.errors import UsageError
from diffusionad.losses import focal, map_loss, noise_loss

SCHEDULE = Schedule()
T = torch.tensor([0, 5, 200, 447, 999])


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_noise_loss_is_the_squared_error_of_the_noise_over_normal_samples() -> None:
    clean, eps, eps_hat = (drawn(5, 3, 4, 6, seed=seed) for seed in range(3))
    clean_hat = SCHEDULE.clean_of(SCHEDULE.disturb(clean, T, eps), T, eps_hat)
    is_normal = torch.tensor([True, False, True, True, False])
    expected = ((eps - eps_hat) ** 2)[is_normal].mean()
    got = noise_loss(clean_hat, clean, SCHEDULE.snr(T), is_normal.to(torch.float64))
    assert got.item() == pytest.approx(expected.item(), rel=1e-9)


def test_noise_loss_in_single_precision_stays_near_double_even_at_the_first_step() -> None:
    clean, eps, eps_hat = (drawn(5, 3, 8, 8, seed=seed) for seed in range(3))
    exact = ((eps - eps_hat) ** 2).mean().item()
    clean32, eps32, eps_hat32 = (value.float() for value in (clean, eps, eps_hat))
    clean_hat = SCHEDULE.clean_of(SCHEDULE.disturb(clean32, T, eps32), T, eps_hat32)
    got = noise_loss(clean_hat, clean32, SCHEDULE.snr(T), torch.ones(5))
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(exact, rel=1e-3)


def test_the_cap_bounds_the_weight_of_a_step() -> None:
    clean, clean_hat = drawn(5, 3, 4, 4), drawn(5, 3, 4, 4, seed=1)
    snr = SCHEDULE.snr(T)
    expected = sum(
        min(float(weight), 5.0) * float(((one - other) ** 2).mean())
        for weight, one, other in zip(snr, clean, clean_hat, strict=True)
    )
    assert noise_loss(clean_hat, clean, snr, torch.ones(5), cap=5.0).item() == pytest.approx(expected / 5, rel=1e-6)


def test_shares_weigh_samples_and_their_mean() -> None:
    clean, clean_hat = drawn(3, 1, 2, 2), drawn(3, 1, 2, 2, seed=1)
    snr = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    each = snr * ((clean - clean_hat) ** 2).mean(dim=(1, 2, 3))
    got = noise_loss(clean_hat, clean, snr, torch.tensor([1.0, 1.0, 0.5]))
    assert got.item() == pytest.approx(float((each[0] + each[1] + 0.5 * each[2]) / 2.5), rel=1e-6)


def test_a_batch_without_normal_samples_costs_exactly_nothing() -> None:
    clean_hat = drawn(5, 3, 4, 4).requires_grad_()
    loss = noise_loss(clean_hat, drawn(5, 3, 4, 4, seed=1), SCHEDULE.snr(T), torch.zeros(5))
    loss.backward()
    assert loss.item() == 0.0
    assert clean_hat.grad is not None
    assert torch.count_nonzero(clean_hat.grad) == 0  # a NaN would count


def test_samples_that_do_not_count_send_no_gradient() -> None:
    clean_hat = drawn(2, 3, 4, 4).requires_grad_()
    noise_loss(clean_hat, drawn(2, 3, 4, 4, seed=1), SCHEDULE.snr(T[:2]), torch.tensor([1.0, 0.0])).backward()
    assert clean_hat.grad is not None
    assert torch.all(clean_hat.grad[0] != 0)
    assert torch.count_nonzero(clean_hat.grad[1]) == 0


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 4.0), (0.25, 2.0), (0.9, 0.0), (0.3, 1.5)])
def test_focal_is_the_formula(alpha: float, gamma: float) -> None:
    logits, true_mask = drawn(2, 1, 3, 4) * 3, drawn(2, 1, 3, 4, seed=1) > 0.5
    total = 0.0
    for logit, anomalous in zip(logits.flatten().tolist(), true_mask.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        p_true, weight = (p, alpha) if anomalous else (1 - p, 1 - alpha)
        total -= weight * (1 - p_true) ** gamma * math.log(p_true)
    assert focal(logits, true_mask, alpha=alpha, gamma=gamma).item() == pytest.approx(total / 24, rel=1e-10)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 4.0])
def test_focal_of_sure_logits_is_finite_and_pulls_only_the_wrong_ones(gamma: float) -> None:
    logits = torch.tensor([100.0, -100.0, 100.0, -100.0]).reshape(1, 1, 2, 2).requires_grad_()
    true_mask = torch.tensor([True, False, False, True]).reshape(1, 1, 2, 2)
    loss = focal(logits, true_mask, alpha=0.5, gamma=gamma)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 100 * 2 / 4)
    assert logits.grad is not None
    pull = logits.grad.flatten().tolist()
    assert pull[:2] == [0.0, 0.0]
    assert pull[2] > 0.1
    assert pull[3] < -0.1


@pytest.mark.parametrize("gamma", [0.25, 0.5])
def test_focal_has_finite_gradients_at_every_gamma_that_settings_allow(gamma: float) -> None:
    try:
        resolve(settings=[f"loss.gamma={gamma}"])
    except UsageError:
        return  # refusing them is as good
    logits = torch.tensor([100.0, -100.0]).reshape(1, 1, 1, 2).requires_grad_()
    focal(logits, torch.tensor([True, False]).reshape(1, 1, 1, 2), alpha=0.5, gamma=gamma).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_map_loss_is_smooth_l1_plus_weighted_focal() -> None:
    logits, true_mask = drawn(2, 1, 5, 4) * 3, drawn(2, 1, 5, 4, seed=1) > 0.5
    away = 1 / (1 + torch.exp(-logits)) - true_mask.to(torch.float64)
    smooth = (0.5 * away**2).mean().item()  # below 1 everywhere
    assert map_loss(logits, true_mask, alpha=0.5, gamma=4.0, focal_weight=0.0).item() == pytest.approx(smooth, rel=1e-9)
    both = map_loss(logits, true_mask, alpha=0.25, gamma=2.0, focal_weight=5.0).item()
    expected = smooth + 5 * focal(logits, true_mask, alpha=0.25, gamma=2.0).item()
    assert both == pytest.approx(expected, rel=1e-9)


def test_a_perfect_map_costs_nothing_and_alpha_weighs_the_anomalous() -> None:
    true_mask = torch.tensor([True, False, False, False]).reshape(1, 1, 2, 2)
    perfect = torch.where(true_mask, 50.0, -50.0)
    assert map_loss(perfect, true_mask, alpha=0.5, gamma=4.0, focal_weight=5.0).item() < 1e-9
    undecided = torch.zeros(1, 1, 2, 2)
    assert focal(undecided, true_mask, alpha=1.0, gamma=0.0).item() == pytest.approx(math.log(2) / 4)
    assert focal(undecided, true_mask, alpha=0.0, gamma=0.0).item() == pytest.approx(3 * math.log(2) / 4)
