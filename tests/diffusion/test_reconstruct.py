"""Norm guidance against the long form of the method."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffusionad.diffusion import Schedule, estimate, norm_guided, reconstruct

SCHEDULE = Schedule()
BATCH = 4  # as many as the image is wide: a value a sample must not become a value a column


def drawn(seed: int) -> Tensor:
    return torch.randn(BATCH, 3, 2, BATCH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Network:
    """Answers with numbers drawn for each step, far from what a trained one would say."""

    def __init__(self, seed: int, scale: float) -> None:
        self.seed, self.scale = seed, scale

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        answers = [
            torch.randn(
                x_t.shape[1:], generator=torch.Generator().manual_seed(self.seed + int(step)), dtype=torch.float64
            )
            for step in t
        ]
        return self.scale * torch.stack(answers) + 0.5 * torch.sin(x_t)


def long_form(
    network: Network,
    prediction: Literal["eps", "x0"],
    image: Tensor,
    t_fine: Tensor,
    t_coarse: Tensor,
    eps_fine: Tensor,
    eps_coarse: Tensor,
    weight: float,
) -> Tensor:
    """n_hat = n_s - sqrt(1 - ab_s) w (q(x0_b, s, n_s) - x_s), then Eq. 5; METHOD section 1, in its own letters."""
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    ab = torch.cumprod(1 - betas, 0)
    ab_s, ab_b = ab[t_fine].reshape(-1, 1, 1, 1), ab[t_coarse].reshape(-1, 1, 1, 1)
    x_s = ab_s.sqrt() * image + (1 - ab_s).sqrt() * eps_fine
    x_b = ab_b.sqrt() * image + (1 - ab_b).sqrt() * eps_coarse
    if prediction == "eps":
        n_s = network(x_s, t_fine)
        x0_b = (x_b - (1 - ab_b).sqrt() * network(x_b, t_coarse)) / ab_b.sqrt()
    else:
        n_s = (x_s - ab_s.sqrt() * network(x_s, t_fine)) / (1 - ab_s).sqrt()
        x0_b = network(x_b, t_coarse)
    x0_b = x0_b.clamp(-1, 1)
    q = ab_s.sqrt() * x0_b + (1 - ab_s).sqrt() * n_s
    n_hat = n_s - (1 - ab_s).sqrt() * weight * (q - x_s)
    return ((x_s - (1 - ab_s).sqrt() * n_hat) / ab_s.sqrt()).clamp(-1, 1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.1, 1.0, 3.0]),
    prediction=st.sampled_from(["eps", "x0"]),
    t_fine=st.lists(st.integers(0, 447), min_size=BATCH, max_size=BATCH),
    t_coarse=st.lists(st.integers(448, 999), min_size=BATCH, max_size=BATCH),
    weight=st.floats(0, 1),
)
def test_the_lerp_is_the_long_form(
    seed: int, scale: float, prediction: Literal["eps", "x0"], t_fine: list[int], t_coarse: list[int], weight: float
) -> None:
    network, image = Network(seed, scale), drawn(seed).clamp(-1, 1)
    s, b, eps_s, eps_b = torch.tensor(t_fine), torch.tensor(t_coarse), drawn(seed + 1), drawn(seed + 2)
    got = reconstruct(
        network,
        prediction,
        SCHEDULE,
        image,
        t_fine=s,
        t_coarse=b,
        eps_fine=eps_s,
        eps_coarse=eps_b,
        weight=weight,
    )
    expected = long_form(network, prediction, image, s, b, eps_s, eps_b, weight)
    torch.testing.assert_close(got.guided, expected, rtol=0, atol=1e-6)


def passes(seed: int = 0, other: int = 1, **changed: Tensor | float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    given_values: dict[str, Tensor | float] = {
        "t_fine": torch.tensor([10, 331, 200, 447]),
        "t_coarse": torch.tensor([530, 448, 999, 600]),
        "eps_fine": drawn(seed + 10),
        "eps_coarse": drawn(other + 10),
    }
    result = reconstruct(Network(3, 1.0), "eps", SCHEDULE, drawn(0).clamp(-1, 1), **{**given_values, **changed})
    return result.guided, result.fine, result.coarse, result.fine_noisy


def test_the_two_passes_know_nothing_of_each_other() -> None:
    _, fine, coarse, noisy = passes()
    for changed in ({"eps_coarse": drawn(99)}, {"t_coarse": torch.tensor([600, 601, 602, 603])}):
        _, fine_then, coarse_then, noisy_then = passes(**changed)
        assert torch.equal(fine_then, fine)
        assert torch.equal(noisy_then, noisy)
        assert not torch.equal(coarse_then, coarse)
    for changed in ({"eps_fine": drawn(99)}, {"t_fine": torch.tensor([60, 61, 62, 63])}):
        _, fine_then, coarse_then, _ = passes(**changed)
        assert torch.equal(coarse_then, coarse)
        assert not torch.equal(fine_then, fine)


def test_without_guidance_the_fine_reconstruction_remains() -> None:
    guided, fine, _, _ = passes(weight=0.0)
    torch.testing.assert_close(guided, fine.clamp(-1, 1), rtol=0, atol=1e-12)


def test_a_perfect_denoiser_gives_the_image_back() -> None:
    image, eps_fine, eps_coarse = drawn(0).clamp(-1, 1), drawn(1), drawn(2)
    s, b = torch.tensor([10, 331, 200, 447]), torch.tensor([530, 448, 999, 600])
    result = reconstruct(
        lambda x_t, t: SCHEDULE.noise_of(x_t, t, torch.cat([image, image])),
        "eps",
        SCHEDULE,
        image,
        t_fine=s,
        t_coarse=b,
        eps_fine=eps_fine,
        eps_coarse=eps_coarse,
    )
    torch.testing.assert_close(result.guided, image, rtol=0, atol=1e-9)
    torch.testing.assert_close(result.fine_noisy, SCHEDULE.disturb(image, s, eps_fine), rtol=0, atol=0)


def test_both_predictions_of_one_truth_estimate_the_same() -> None:
    x_t, t, clean = drawn(0), torch.tensor([0, 331, 530, 999]), drawn(1)
    by_noise = estimate(lambda x, step: SCHEDULE.noise_of(x, step, clean), "eps", SCHEDULE, x_t, t)
    torch.testing.assert_close(by_noise, clean, rtol=1e-9, atol=1e-9)
    assert torch.equal(estimate(lambda x, step: clean, "x0", SCHEDULE, x_t, t), clean)


def test_each_sample_has_its_own_share_even_when_the_batch_is_as_wide_as_the_image() -> None:
    share = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    fine, coarse = torch.zeros(4, 3, 4, 4, dtype=torch.float64), torch.full((4, 3, 4, 4), 7.0, dtype=torch.float64)
    guided = norm_guided(fine, coarse, share)
    for index, value in enumerate(share.tolist()):
        assert torch.equal(guided[index], torch.full((3, 4, 4), value, dtype=torch.float64))  # the coarse is clamped


def test_shares_of_another_batch_are_refused() -> None:
    fine = torch.zeros(4, 3, 4, 4)
    with pytest.raises(ValueError, match="one value a sample"):
        norm_guided(fine, fine, torch.tensor([0.5]))


def test_the_guided_is_clamped_and_the_clamp_of_the_coarse_comes_first() -> None:
    fine, coarse = torch.full((1, 1, 1, 2), -3.0), torch.full((1, 1, 1, 2), 9.0)
    assert norm_guided(fine, coarse, torch.tensor([0.0])).tolist() == [[[[-1.0, -1.0]]]]
    assert norm_guided(fine, coarse, torch.tensor([0.75])).tolist() == [[[[0.0, 0.0]]]]  # lerp(-3, 1, 3/4)


def test_the_guided_carries_gradient_into_both_passes() -> None:
    fine = torch.full((1, 1, 1, 1), 0.2, requires_grad=True)
    coarse = torch.full((1, 1, 1, 1), 0.4, requires_grad=True)
    norm_guided(fine, coarse, torch.tensor([0.25])).sum().backward()
    assert fine.grad is not None
    assert coarse.grad is not None
    assert (fine.grad.item(), coarse.grad.item()) == pytest.approx((0.75, 0.25))
