"""Noise to norm in one step: at one noise scale, at several, or at two of which one guides the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diffusionad.diffusion.schedule import Schedule, per_sample

__all__ = ["Network", "Prediction", "Reconstruction", "estimate", "norm_guided", "one_step", "reconstruct"]

Prediction = Literal["eps", "x0"]
"""What the network's output means: the noise (the paper) or the clean image."""

Network = Callable[[Tensor, Tensor], Tensor]
"""(x_t, t) -> prediction."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What the noise scales say; every tensor [B, C, H, W].

    Attributes:
        guided: the reconstruction, clamped to [-1, 1]; norm-guided where there are two scales.
        fine: the one-step reconstruction at the fine, or only, scale, not clamped.
        coarse: the same at the coarse scale; None where there is none.
        fine_noisy: x_t at the fine scale.
    """

    guided: Tensor
    fine: Tensor
    coarse: Tensor | None
    fine_noisy: Tensor


def estimate(network: Network, prediction: Prediction, schedule: Schedule, x_t: Tensor, t: Tensor) -> Tensor:
    """One-step estimate of the clean image from x_t [B, C, H, W] and t [B], whatever the network predicts."""
    output = network(x_t, t).to(x_t.dtype)
    return schedule.clean_of(x_t, t, output) if prediction == "eps" else output


def norm_guided(fine: Tensor, coarse: Tensor, share: Tensor) -> Tensor:
    """lerp(x0_fine, clamp(x0_coarse), w (1 - ab_fine)), clamped; share [B] in 0..1.

    Paper: Norm guidance, journal version
    """
    return torch.lerp(fine, coarse.clamp(-1, 1), per_sample(share, fine)).clamp(-1, 1)


def one_step(
    network: Network, prediction: Prediction, schedule: Schedule, image: Tensor, *, t: Tensor, eps: Tensor
) -> Reconstruction:
    """Disturb an image [B, C, H, W] at steps t [B] with eps [B, C, H, W] and denoise it in one step (v1)."""
    noisy = schedule.disturb(image, t, eps)
    clean = estimate(network, prediction, schedule, noisy, t)
    return Reconstruction(clean.clamp(-1, 1), clean, None, noisy)


def reconstruct(
    network: Network,
    prediction: Prediction,
    schedule: Schedule,
    image: Tensor,
    *,
    t_fine: Tensor,
    t_coarse: Tensor,
    eps_fine: Tensor,
    eps_coarse: Tensor,
    weight: float = 1.0,
) -> Reconstruction:
    """Disturb, denoise in one step at both scales, as one batch of 2B, and let the coarse guide the fine.

    Args:
        network: (x_t, t) -> prediction.
        prediction: what the network's output means.
        schedule: the noise schedule.
        image: [B, C, H, W] in [-1, 1].
        t_fine: weak noise, steps [B].
        t_coarse: strong noise, steps [B].
        eps_fine: the noise drawn for the fine scale, [B, C, H, W], unit variance.
        eps_coarse: the same for the coarse scale.
        weight: guidance weight w; 0..1, so that w (1 - ab_fine) stays below 1 at every step.
    """
    fine_noisy = schedule.disturb(image, t_fine, eps_fine)
    coarse_noisy = schedule.disturb(image, t_coarse, eps_coarse)
    noisy, t = torch.cat([fine_noisy, coarse_noisy]), torch.cat([t_fine, t_coarse])
    fine, coarse = estimate(network, prediction, schedule, noisy, t).reshape(2, *image.shape)
    share = schedule.guidance_share(t_fine, weight)
    return Reconstruction(norm_guided(fine, coarse, share), fine, coarse, fine_noisy)
