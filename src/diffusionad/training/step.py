"""One training step's losses (METHOD section 2; Alg. 1 of the paper with two noise scales)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusionad.config import DiffusionSettings, LossSettings
from diffusionad.detector import Detector
from diffusionad.losses import map_loss, noise_loss

__all__ = ["TrainingStep"]


class TrainingStep(nn.Module):
    """The losses of a batch, as one forward pass, so that distributed training wraps it whole."""

    def __init__(self, detector: Detector, diffusion: DiffusionSettings, loss: LossSettings) -> None:
        super().__init__()
        self.detector, self._diffusion, self._loss = detector, diffusion, loss

    def forward(
        self, image: Tensor, clean: Tensor, true_mask: Tensor, is_normal: Tensor, noise: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(L_noise, L_mask), scalars, of a `Batch` given as tensors."""
        t_fine, t_coarse = (_steps(time[0], self._diffusion.fine_range), _steps(time[1], self._diffusion.coarse_range))
        result = self.detector.reconstruct(image, t_fine, t_coarse, noise[0], noise[1])
        logits = self.detector.compare(image, result.guided)
        share = torch.where(is_normal, 1.0, self._loss.repair_weight)
        cap = self._loss.snr_cap if self._diffusion.prediction == "x0" else None
        snr = self.detector.schedule.snr
        denoising = noise_loss(result.fine, clean, snr(t_fine), share, cap) + noise_loss(
            result.coarse, clean, snr(t_coarse), share, cap
        )
        loss = self._loss
        return denoising, map_loss(
            logits, true_mask, alpha=loss.alpha, gamma=loss.gamma, focal_weight=loss.focal_weight
        )


def _steps(time: Tensor, bounds: tuple[int, int]) -> Tensor:
    """Places 0..1 -> integer steps in [low, high), [B]."""
    low, high = bounds
    return (low + time * (high - low)).long().clamp(max=high - 1)
