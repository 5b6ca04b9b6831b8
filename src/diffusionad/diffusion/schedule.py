"""Noise schedule and the forward process (METHOD: paper Eq. 2; Ho et al. 2020)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Schedule", "per_sample"]

Shape = Literal["linear", "cosine"]


class Schedule:
    """Betas in float64; `alpha_bar[t]` is the signal power left after step t.

    Args:
        steps: T, number of steps.
        beta_start, beta_end: first and last beta of the linear shape; DDPM and the authors' code use 1e-4 and 2e-2.
        shape: linear betas (the paper), or cosine (Nichol and Dhariwal 2021), which has no use for the two betas.
    """

    def __init__(
        self, steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2, shape: Shape = "linear"
    ) -> None:
        self.steps = steps
        if shape == "cosine":
            betas = _cosine_betas(steps)
        else:
            betas = torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)
        self._alpha_bar = torch.cumprod(1 - betas, dim=0)

    def alpha_bar(self, t: Tensor | int) -> Tensor:
        """Signal power left: x_t has mean sqrt(ab) x0 and variance 1 - ab. Float64, shape of t, 0 <= t < steps.

        Paper: Eq. 1
        """
        index = torch.as_tensor(t)
        return self._alpha_bar[index.cpu()].to(index.device)

    def sigma(self, t: Tensor | int) -> Tensor:
        """Noise-to-signal ratio sqrt((1 - alpha_bar) / alpha_bar), float64."""
        alpha_bar = self.alpha_bar(t)
        return ((1 - alpha_bar) / alpha_bar).sqrt()

    def step_of(self, sigma: float) -> int:
        """The step whose sigma is nearest: states noise independently of the image's range."""
        return int((self.sigma(torch.arange(self.steps)) - sigma).abs().argmin())

    def disturb(self, image: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = sqrt(ab) x0 + sqrt(1 - ab) eps. image, eps [B, C, H, W]; t [B].

        Paper: Eq. 2
        """
        alpha_bar = per_sample(self.alpha_bar(t), image)
        return alpha_bar.sqrt() * image + (1 - alpha_bar).sqrt() * eps

    def clean_of(self, x_t: Tensor, t: Tensor, eps_hat: Tensor) -> Tensor:
        """x0_hat = (x_t - sqrt(1 - ab) eps_hat) / sqrt(ab), the one-step reconstruction.

        Paper: Eq. 5
        """
        alpha_bar = per_sample(self.alpha_bar(t), x_t)
        return (x_t - (1 - alpha_bar).sqrt() * eps_hat) / alpha_bar.sqrt()

    def noise_of(self, x_t: Tensor, t: Tensor, clean: Tensor) -> Tensor:
        """The forward process solved for eps: the noise that turns `clean` into x_t. The inverse of `clean_of`."""
        alpha_bar = per_sample(self.alpha_bar(t), x_t)
        return (x_t - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio ab / (1 - ab), float64, of the shape of t."""
        alpha_bar = self.alpha_bar(t)
        return alpha_bar / (1 - alpha_bar)

    def guidance_share(self, t_fine: Tensor | int, weight: float) -> Tensor:
        """Share w (1 - ab_fine) of the coarse reconstruction in the norm-guided one: float64, shape of t_fine."""
        return weight * (1 - self.alpha_bar(t_fine))


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, 1, 1] of `like`'s type: the one place where a value a sample meets a batch of images."""
    if values.ndim != 1 or values.shape[0] != like.shape[0]:
        raise ValueError(f"one value a sample is needed: got {tuple(values.shape)} for a batch of {like.shape[0]}")
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def _cosine_betas(steps: int) -> Tensor:
    """Nichol and Dhariwal 2021, Eq. 17, with their offset 0.008 and their bound 0.999 on every beta."""
    place = torch.arange(steps + 1, dtype=torch.float64) / steps
    left = torch.cos((place + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - left[1:] / left[:-1]).clamp(max=0.999)
