"""Iterative denoising against Ho et al. 2020, Alg. 2, and against one step, which it becomes with a large stride."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffusionad.diffusion import Schedule, iterate, one_step, step_back, steps_down
from diffusionad.diffusion.reconstruct import Prediction

SCHEDULE = Schedule()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(x_t: Tensor, t: Tensor) -> Tensor:
    """Something that depends on the image and the step of each sample."""
    return torch.sin(x_t) * (1 + t.double() / 1000).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("prediction", ["eps", "x0"])
@pytest.mark.parametrize("t", [0, 1, 331, 999])
def test_ddim_with_a_stride_beyond_the_step_is_one_step(prediction: Prediction, t: int) -> None:
    image, noise = drawn(2, 3, 4, 4).clamp(-1, 1), drawn(2, 3, 4, 4, seed=1)
    for stride in (t + 1, 1000):
        got = iterate(network, prediction, SCHEDULE, image, t=t, stride=stride, sampler="ddim", noise=noise)
        steps, eps = torch.tensor([t, t]), noise[0].expand_as(image)
        expected = one_step(network, prediction, SCHEDULE, image, t=steps, eps=eps)
        torch.testing.assert_close(got.fine, expected.fine, rtol=0, atol=1e-9)
        torch.testing.assert_close(got.guided, expected.guided, rtol=0, atol=1e-9)
        assert torch.equal(got.fine_noisy, expected.fine_noisy)


def test_single_steps_are_the_algorithm_of_ddpm() -> None:
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    left = torch.cumprod(1 - betas, 0)
    image, noise = drawn(1, 3, 4, 4).clamp(-1, 1), drawn(13, 3, 4, 4, seed=1)
    got = iterate(network, "eps", SCHEDULE, image, t=11, stride=1, sampler="ddpm", noise=noise)
    x = left[11].sqrt() * image + (1 - left[11]).sqrt() * noise[0]
    for number, t in enumerate(range(11, -1, -1), 1):
        eps = network(x, torch.tensor([t]))
        x = (x - betas[t] / (1 - left[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
        if t > 0:
            variance = (1 - left[t - 1]) / (1 - left[t]) * betas[t]
            x = x + variance.sqrt() * noise[number]
    torch.testing.assert_close(got.fine, x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("earlier", [0, 99, 298])
def test_a_perfect_denoiser_keeps_mean_and_variance_of_the_forward_process(earlier: int) -> None:
    """x_t of a known image, taken back with the true image, is distributed as x at the earlier step (Eq. 1)."""
    image, t = torch.full((1, 1, 200, 200), 0.5, dtype=torch.float64), torch.tensor([299])
    x_t = SCHEDULE.disturb(image, t, drawn(1, 1, 200, 200))
    for z in (drawn(1, 1, 200, 200, seed=1), None):
        back = step_back(SCHEDULE, x_t, image, 299, earlier, z)
        left = float(SCHEDULE.alpha_bar(earlier))
        assert float(back.mean()) == pytest.approx(0.5 * left**0.5, abs=0.02)
        assert float(back.var()) == pytest.approx(1 - left, rel=0.03)
        assert torch.equal(step_back(SCHEDULE, x_t, image, 299, None, z).round(decimals=9), image)


def test_the_steps_go_down_to_the_clean_image() -> None:
    assert steps_down(10, 4) == (10, 6, 2)
    assert steps_down(9, 1) == tuple(range(9, -1, -1))
    assert steps_down(0, 7) == (0,)


def test_ddim_adds_no_noise_and_ddpm_the_noise_given() -> None:
    image, noise = drawn(1, 3, 4, 4).clamp(-1, 1), drawn(6, 3, 4, 4, seed=1)

    def at(sampler: str, changed: int) -> Tensor:
        other = noise.clone()
        other[changed] *= -1
        return iterate(network, "x0", SCHEDULE, image, t=40, stride=10, sampler=sampler, noise=other).fine  # type: ignore[arg-type]

    assert torch.equal(at("ddim", 2), at("ddim", 3))
    assert not torch.equal(at("ddpm", 2), at("ddpm", 3))
    assert not torch.equal(at("ddim", 0), at("ddim", 3))
