"""One training step's losses (METHOD section 2; Alg. 1 of the paper with one noise scale or two)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusionad.config import DiffusionSettings, LossSettings
from diffusionad.detector import Detector
from diffusionad.differences import squared, ssim
from diffusionad.diffusion import Reconstruction
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
        """(L_noise, L_mask), scalars, of a `Batch` given as tensors. What has no network has the loss 0.

        Paper: Alg. 1
        """
        detector, loss = self.detector, self._loss
        t_fine, t_coarse = (_steps(time[0], self._diffusion.fine_range), _steps(time[1], self._diffusion.coarse_range))
        result = detector.reconstruct(image, t_fine, t_coarse, noise[0], noise[1])
        denoising = mapped = torch.zeros((), device=image.device)
        if detector.diffuses:
            denoising = loss.noise_weight * self._noise_loss(result, image, clean, is_normal, t_fine, t_coarse)
        elif detector.denoiser is not None:
            denoising = loss.noise_weight * (squared(result.fine, clean) + ssim(result.fine, clean)).mean()
        if detector.segmenter is not None:
            mapped = map_loss(
                detector.compare(image, result.guided),
                true_mask,
                alpha=loss.alpha,
                gamma=loss.gamma,
                focal_weight=loss.focal_weight,
                smooth_weight=loss.smooth_weight,
            )
        return denoising, mapped

    def _noise_loss(
        self, result: Reconstruction, image: Tensor, clean: Tensor, is_normal: Tensor, t_fine: Tensor, t_coarse: Tensor
    ) -> Tensor:
        """The sum over the noise scales. In v1 every sample counts, and its truth is what was disturbed: itself."""
        everything = self._loss.noise_on == "all"
        truth = image if everything else clean
        share = torch.where(is_normal, 1.0, 1.0 if everything else self._loss.repair_weight)
        cap = self._loss.snr_cap if self._diffusion.prediction == "x0" else None
        snr = self.detector.schedule.snr
        fine = noise_loss(result.fine, truth, snr(t_fine), share, cap)
        if result.coarse is None:
            return fine
        return fine + noise_loss(result.coarse, truth, snr(t_coarse), share, cap)


def _steps(time: Tensor, bounds: tuple[int, int]) -> Tensor:
    """Places 0..1 -> integer steps in [low, high), [B]."""
    low, high = bounds
    return (low + time * (high - low)).long().clamp(max=high - 1)
