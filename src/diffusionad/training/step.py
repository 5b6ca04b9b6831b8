"""One training step's losses (METHOD section 2; Alg. 1 of the paper with one noise scale or two)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusionad.config import DiffusionSettings, LossSettings
from diffusionad.detector import Detector
from diffusionad.differences import squared, ssim
from diffusionad.diffusion import Reconstruction
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
        """(L_noise, L_mask), scalars, of a `Batch` given as tensors. What has no network has the loss 0.

        Paper: Alg. 1
        """
        detector, loss = self.detector, self._loss
        t_fine, t_coarse = (_steps(time[0], self._diffusion.fine_range), _steps(time[1], self._diffusion.coarse_range))
        result = detector.reconstruct(image, t_fine, t_coarse, noise[0], noise[1])
        denoising = mapped = torch.zeros((), device=image.device)
        known = None if is_clean_known.all() else is_clean_known
        if detector.diffuses:
            everything = loss.noise_on == "all"  # v1: every sample counts, and its truth is what was disturbed: itself
            share = torch.where(is_normal, 1.0, 1.0 if everything else loss.repair_weight) * is_outlined
            truth = image if everything else clean
            denoising = loss.noise_weight * self._noise_loss(result, truth, share, known, t_fine, t_coarse)
        elif detector.denoiser is not None:
            apart = squared(result.fine, clean) + ssim(result.fine, clean)
            counted = apart if known is None or not known.any() else apart[known[:, 0]]
            denoising = loss.noise_weight * counted.mean()
        if detector.segmenter is not None:
            mapped = self._mapped(detector.compare(image, result.guided)[0], true_mask, is_outlined)
        return denoising, mapped

    def _noise_loss(
        self,
        result: Reconstruction,
        truth: Tensor,
        share: Tensor,
        known: Tensor | None,
        t_fine: Tensor,
        t_coarse: Tensor,
    ) -> Tensor:
        """The sum over the noise scales."""
        cap = self._loss.snr_cap if self._diffusion.prediction == "x0" else None
        snr = self.detector.schedule.snr
        fine = noise_loss(result.fine, truth, snr(t_fine), share, cap, known)
        if result.coarse is None:
            return fine
        return fine + noise_loss(result.coarse, truth, snr(t_coarse), share, cap, known)

    def _mapped(self, logits: Tensor, true_mask: Tensor, is_outlined: Tensor) -> Tensor:
        """L_mask; of the samples nobody outlined only the image score is wanted high."""
        loss = self._loss

        def outlined(logits: Tensor, true_mask: Tensor) -> Tensor:
            return map_loss(
                logits,
                true_mask,
                alpha=loss.alpha,
                gamma=loss.gamma,
                focal_weight=loss.focal_weight,
                smooth_weight=loss.smooth_weight,
            )

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
