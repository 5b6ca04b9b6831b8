"""One training step's losses (METHOD section 2; Alg. 1 of the paper with two noise scales)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusionad.config import DiffusionSettings, LossSettings
from diffusionad.detector import Detector
from diffusionad.losses import image_loss, map_loss, noise_loss

__all__ = ["TrainingStep"]


class TrainingStep(nn.Module):
    """The losses of a batch, as one forward pass, so that distributed training wraps it whole."""

    IMAGE_WEIGHT = 0.1
    """Of the loss of a picture without an outline: its gradient falls on a few pixels, that of an outline on all."""

    def __init__(self, detector: Detector, diffusion: DiffusionSettings, loss: LossSettings) -> None:
        super().__init__()
        self.detector, self._diffusion, self._loss = detector, diffusion, loss

    def forward(
        self,
        image: Tensor,
        clean: Tensor,
        true_mask: Tensor,
        is_normal: Tensor,
        noise: Tensor,
        time: Tensor,
        is_clean_known: Tensor,
        is_outlined: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """(L_noise, L_mask), scalars, of a `Batch` given as tensors."""
        t_fine, t_coarse = (_steps(time[0], self._diffusion.fine_range), _steps(time[1], self._diffusion.coarse_range))
        result = self.detector.reconstruct(image, t_fine, t_coarse, noise[0], noise[1])
        logits = self.detector.compare(image, result.guided)
        share = torch.where(is_normal, 1.0, self._loss.repair_weight) * is_outlined
        cap = self._loss.snr_cap if self._diffusion.prediction == "x0" else None
        snr = self.detector.schedule.snr
        known = None if is_clean_known.all() else is_clean_known
        denoising = noise_loss(result.fine, clean, snr(t_fine), share, cap, known) + noise_loss(
            result.coarse, clean, snr(t_coarse), share, cap, known
        )
        return denoising, self._mapped(logits, true_mask, is_outlined)

    def _mapped(self, logits: Tensor, true_mask: Tensor, is_outlined: Tensor) -> Tensor:
        """L_mask; of the samples nobody outlined only the image score is wanted high."""
        loss = self._loss

        def outlined(logits: Tensor, true_mask: Tensor) -> Tensor:
            return map_loss(logits, true_mask, alpha=loss.alpha, gamma=loss.gamma, focal_weight=loss.focal_weight)

        if is_outlined.all():
            return outlined(logits, true_mask)
        share = is_outlined.float().mean()
        unknown = (1 - share) * self.IMAGE_WEIGHT * image_loss(logits[~is_outlined], self.detector.top_k)
        if not is_outlined.any():
            return unknown
        return unknown + share * outlined(logits[is_outlined], true_mask[is_outlined])


def _steps(time: Tensor, bounds: tuple[int, int]) -> Tensor:
    """Places 0..1 -> integer steps in [low, high), [B]."""
    low, high = bounds
    return (low + time * (high - low)).long().clamp(max=high - 1)
