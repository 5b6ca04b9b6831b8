"""Noise schedule and the forward process (METHOD: paper Eq. 2; Ho et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Schedule", "per_sample"]


class Schedule:
    """Linear betas in float64; `alpha_bar[t]` is the signal power left after step t.

    Args:
        steps: T, number of steps.
        beta_start, beta_end: first and last beta; DDPM and the authors' code use 1e-4 and 2e-2.
    """

    def __init__(self, steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2) -> None:
        self.steps = steps
        betas = torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)
        self._alpha_bar = torch.cumprod(1 - betas, dim=0)

    def alpha_bar(self, t: Tensor | int) -> Tensor:
        """Signal power left, float64, of the shape of t (0 <= t < steps)."""
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
        """Eq. 2: x_t = sqrt(ab) x0 + sqrt(1 - ab) eps. image, eps [B, C, H, W]; t [B]."""
        alpha_bar = per_sample(self.alpha_bar(t), image)
        return alpha_bar.sqrt() * image + (1 - alpha_bar).sqrt() * eps

    def clean_of(self, x_t: Tensor, t: Tensor, eps_hat: Tensor) -> Tensor:
        """Eq. 5: x0_hat = (x_t - sqrt(1 - ab) eps_hat) / sqrt(ab), the one-step reconstruction."""
        alpha_bar = per_sample(self.alpha_bar(t), x_t)
        return (x_t - (1 - alpha_bar).sqrt() * eps_hat) / alpha_bar.sqrt()

    def noise_of(self, x_t: Tensor, t: Tensor, clean: Tensor) -> Tensor:
        """Eq. 2 solved for eps: the noise that turns `clean` into x_t. The inverse of `clean_of`."""
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
