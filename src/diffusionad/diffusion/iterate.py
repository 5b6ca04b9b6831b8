"""Noise to norm in many steps: partial denoising as in DDPM and DDIM, which AnoDDPM uses and one step replaces."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from diffusionad.diffusion.reconstruct import Network, Prediction, Reconstruction, estimate
from diffusionad.diffusion.schedule import Schedule

__all__ = ["Sampler", "iterate", "step_back", "steps_down"]

Sampler = Literal["ddpm", "ddim"]
"""With fresh noise at every step (Ho et al. 2020), or without any (Song et al. 2021, eta = 0)."""


def steps_down(t: int, stride: int) -> tuple[int, ...]:
    """The steps at which the network is asked, from t down to 0 by `stride`; from the last one to the clean image."""
    return tuple(range(t, -1, -stride))


def step_back(
    schedule: Schedule, x_t: Tensor, clean_hat: Tensor, t: int, earlier: int | None, z: Tensor | None
) -> Tensor:
    """One step of the reverse process, from x_t to x at step `earlier`; None stands for the clean image.

    With alpha = ab_t / ab_earlier and beta = 1 - alpha this is
    x = (x_t - beta / sqrt(1 - ab_t) eps_hat) / sqrt(alpha) + sqrt((1 - ab_earlier) / (1 - ab_t) beta) z,
    which for earlier = t - 1 is Ho et al. 2020, Alg. 2. The paper prints the variance where its root belongs.

    Args:
        schedule: the noise schedule.
        x_t: [B, C, H, W] at step t.
        clean_hat: the network's estimate of the clean image, [B, C, H, W].
        t: step of x_t.
        earlier: a step below t, or None.
        z: fresh noise of unit variance, [B, C, H, W] (DDPM); None: the noise is only scaled down (DDIM).

    Paper: Eq. 4
    """
    left = schedule.alpha_bar(t)  # tensors of no dimension: they take the type of what they meet
    left_earlier = torch.ones_like(left) if earlier is None else schedule.alpha_bar(earlier)
    eps_hat = (x_t - left.sqrt() * clean_hat) / (1 - left).sqrt()
    if z is None:
        return left_earlier.sqrt() * clean_hat + (1 - left_earlier).sqrt() * eps_hat
    alpha = left / left_earlier
    beta = 1 - alpha
    mean = (x_t - beta / (1 - left).sqrt() * eps_hat) / alpha.sqrt()
    return mean + ((1 - left_earlier) / (1 - left) * beta).sqrt() * z


def iterate(
    network: Network,
    prediction: Prediction,
    schedule: Schedule,
    image: Tensor,
    *,
    t: int,
    stride: int,
    sampler: Sampler,
    noise: Tensor,
) -> Reconstruction:
    """Disturb an image [B, C, H, W] at step t and denoise it by `stride` steps at a time.

    Args:
        network: (x_t, t) -> prediction.
        prediction: what the network's output means.
        schedule: the noise schedule.
        image: in [-1, 1].
        t: where the reverse process begins.
        stride: steps taken at a time; above t, all of them: then DDIM is the one-step reconstruction.
        sampler: with fresh noise or without.
        noise: [1 + passes, C, H, W]: what disturbs the image, then for DDPM what each step adds; DDIM uses the first.
    """

    def at(step: int) -> Tensor:
        return torch.full((image.shape[0],), step, dtype=torch.int64, device=image.device)

    x = noisy = schedule.disturb(image, at(t), noise[0].expand_as(image))
    steps = steps_down(t, stride)
    for number, (step, earlier) in enumerate(zip(steps, (*steps[1:], None), strict=True), 1):
        clean_hat = estimate(network, prediction, schedule, x, at(step))
        z = noise[number].expand_as(image) if sampler == "ddpm" else None
        x = step_back(schedule, x, clean_hat, step, earlier, z)
    return Reconstruction(x.clamp(-1, 1), x, None, noisy)
