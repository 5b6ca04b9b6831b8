"""The schedule against its closed form, and the forward process against its inverses."""

from __future__ import annotations

import math

import pytest
import torch

from diffusionad.config import resolve
from diffusionad.diffusion import Schedule, per_sample

SCHEDULE = Schedule()
STEPS = torch.tensor([0, 1, 200, 530, 999])


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def alpha_bar_of(t: int) -> float:
    """Product of 1 - beta over steps 0..t, one term after the other, without torch."""
    return math.exp(math.fsum(math.log1p(-(1e-4 + (2e-2 - 1e-4) * step / 999)) for step in range(t + 1)))


@pytest.mark.parametrize("t", [0, 1, 100, 331, 530, 999])
def test_alpha_bar_is_the_product_of_what_each_step_leaves(t: int) -> None:
    assert float(SCHEDULE.alpha_bar(t)) == pytest.approx(alpha_bar_of(t), rel=1e-12)
    sigma = math.sqrt((1 - alpha_bar_of(t)) / alpha_bar_of(t))
    assert float(SCHEDULE.sigma(t)) == pytest.approx(sigma, rel=1e-10)


@pytest.mark.parametrize("steps", [50, 1000])
def test_cosine_is_the_square_of_a_cosine_until_its_betas_are_cut_at_the_end(steps: int) -> None:
    at = [math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for step in range(steps + 1)]
    schedule = Schedule(steps, shape="cosine")
    for t in (0, steps // 4, steps // 2, steps - 2):
        assert float(schedule.alpha_bar(t)) == pytest.approx(at[t + 1] / at[0], rel=1e-9)
    last = float(schedule.alpha_bar(steps - 1) / schedule.alpha_bar(steps - 2))
    assert last == pytest.approx(1 - 0.999, rel=1e-9)


def test_any_last_beta_is_a_schedule() -> None:
    for beta_end in (1e-2, 5e-2):
        first, last = Schedule(beta_end=beta_end).alpha_bar(torch.tensor([0, 999]))
        logs = [math.log1p(-(1e-4 + (beta_end - 1e-4) * step / 999)) for step in range(1000)]
        assert (float(first), float(last)) == pytest.approx((1 - 1e-4, math.exp(math.fsum(logs))), rel=1e-10)


@pytest.mark.parametrize(
    ("t", "alpha_bar", "sigma"),
    [(100, 0.8951, 0.3423), (200, 0.6564, 0.7236), (300, 0.3940, 1.2402), (400, 0.1936, 2.0411), (500, 0.0778, 3.4430)],
)
def test_the_numbers_of_the_method(t: int, alpha_bar: float, sigma: float) -> None:
    assert float(SCHEDULE.alpha_bar(t)) == pytest.approx(alpha_bar, abs=6e-5)
    assert float(SCHEDULE.sigma(t)) == pytest.approx(sigma, abs=6e-5)


def test_values_have_the_shape_of_t_in_double_precision() -> None:
    for values in (SCHEDULE.alpha_bar(STEPS), SCHEDULE.sigma(STEPS), SCHEDULE.snr(STEPS)):
        assert values.shape == STEPS.shape
        assert values.dtype == torch.float64
    one_by_one = torch.stack([SCHEDULE.alpha_bar(int(t)) for t in STEPS])
    assert torch.equal(SCHEDULE.alpha_bar(STEPS), one_by_one)


def test_noise_grows_with_every_step() -> None:
    sigma = SCHEDULE.sigma(torch.arange(1000))
    assert torch.all(sigma.diff() > 0)
    assert Schedule(steps=50).sigma(torch.arange(50)).shape == (50,)


@pytest.mark.parametrize("wrong", [1000, 5000])
def test_steps_beyond_the_last_are_refused(wrong: int) -> None:
    with pytest.raises(IndexError):
        SCHEDULE.alpha_bar(torch.tensor([wrong]))


def test_snr_is_one_over_sigma_squared() -> None:
    t = torch.arange(1000)
    torch.testing.assert_close(SCHEDULE.snr(t), 1 / SCHEDULE.sigma(t) ** 2, rtol=1e-10, atol=0)


def test_step_of_inverts_sigma_at_every_step() -> None:
    sigma = SCHEDULE.sigma(torch.arange(1000))
    assert [SCHEDULE.step_of(value) for value in sigma[::37].tolist()] == list(range(0, 1000, 37))
    between = float(0.6 * sigma[400] + 0.4 * sigma[401])
    assert SCHEDULE.step_of(between) == 400
    assert (SCHEDULE.step_of(0.0), SCHEDULE.step_of(1e9)) == (0, 999)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_disturb_and_its_two_inverses(dtype: torch.dtype, tolerance: float) -> None:
    image = drawn(5, 3, 6, 4, dtype=dtype).clamp(-1, 1)
    eps = drawn(5, 3, 6, 4, seed=1, dtype=dtype)
    noisy = SCHEDULE.disturb(image, STEPS, eps)
    assert noisy.dtype == dtype
    # rounding of x_t is seen through 1 / sqrt(ab) on the way to the image, through 1 / sqrt(1 - ab) to the noise
    loss_of_image = 1 / float(SCHEDULE.alpha_bar(999).sqrt())
    loss_of_noise = 1 / float((1 - SCHEDULE.alpha_bar(0)).sqrt())
    back, noise = SCHEDULE.clean_of(noisy, STEPS, eps), SCHEDULE.noise_of(noisy, STEPS, image)
    assert float((back - image).abs().max()) < tolerance * max(1, loss_of_image / 10)
    assert float((noise - eps).abs().max()) < tolerance * max(1, loss_of_noise / 10)
    torch.testing.assert_close(back[:4], image[:4], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(noise[1:], eps[1:], rtol=tolerance, atol=tolerance)


def test_disturb_is_equation_2() -> None:
    image, eps = drawn(5, 1, 2, 2), drawn(5, 1, 2, 2, seed=1)
    noisy = SCHEDULE.disturb(image, STEPS, eps)
    for index, t in enumerate(STEPS.tolist()):
        left = alpha_bar_of(t)
        expected = math.sqrt(left) * image[index] + math.sqrt(1 - left) * eps[index]
        torch.testing.assert_close(noisy[index], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("authors", "ours"), [(100, 191), (200, 331), (400, 530)])
def test_the_unit_trap(authors: int, ours: int) -> None:
    """Twice the contrast takes twice the noise-to-signal ratio: [0, 1] at 200 is [-1, 1] at 331."""
    assert SCHEDULE.step_of(2 * float(SCHEDULE.sigma(authors))) == ours
    unit, eps = drawn(1, 3, 16, 16).clamp(0, 1), drawn(1, 3, 16, 16, seed=1)
    at, then = torch.tensor([authors]), torch.tensor([ours])
    theirs = SCHEDULE.disturb(unit, at, eps) / SCHEDULE.alpha_bar(authors).sqrt()
    same = SCHEDULE.disturb(2 * unit - 1, then, eps) / SCHEDULE.alpha_bar(ours).sqrt()
    naive = SCHEDULE.disturb(2 * unit - 1, at, eps) / SCHEDULE.alpha_bar(authors).sqrt()
    assert float((same - (2 * theirs - 1)).std()) < 0.01 * float(SCHEDULE.sigma(ours))
    assert float((naive - (2 * theirs - 1)).std()) > 0.3 * float(SCHEDULE.sigma(ours))


def test_the_settings_mean_the_authors_steps_on_our_range() -> None:
    diffusion = resolve().diffusion
    assert diffusion.t_fine == SCHEDULE.step_of(2 * float(SCHEDULE.sigma(200)))
    assert diffusion.t_coarse == SCHEDULE.step_of(2 * float(SCHEDULE.sigma(400)))


def test_guidance_share_is_the_weight_of_the_coarse() -> None:
    assert float(SCHEDULE.guidance_share(200, 1.0)) == pytest.approx(0.344, abs=5e-4)
    assert float(SCHEDULE.guidance_share(200, 0.5)) == pytest.approx(0.5 * (1 - alpha_bar_of(200)), rel=1e-12)


def test_per_sample_gives_each_sample_its_own_value_even_when_the_batch_is_as_wide_as_the_image() -> None:
    values, like = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64), torch.ones(4, 3, 4, 4)
    product = per_sample(values, like) * like
    assert product.dtype == torch.float32
    for index, value in enumerate(values.tolist()):
        assert torch.equal(product[index], torch.full((3, 4, 4), value))


@pytest.mark.parametrize("shape", [(3,), (1,), (), (4, 1), (5,)])
def test_per_sample_refuses_another_number_of_values(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one value a sample"):
        per_sample(torch.ones(shape), torch.ones(4, 3, 4, 4))


def test_steps_of_another_batch_are_refused() -> None:
    image = torch.zeros(4, 3, 4, 4)
    for wrong in (torch.tensor([5]), torch.tensor([5, 5, 5]), torch.tensor(5)):
        with pytest.raises(ValueError, match="one value a sample"):
            SCHEDULE.disturb(image, wrong, image)
