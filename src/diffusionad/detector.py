"""The detector: both networks, normality and the fixed noise, from an image to a map (METHOD: Fig. 3 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusionad.diffusion import Reconstruction, Schedule, reconstruct
from diffusionad.diffusion.reconstruct import Prediction
from diffusionad.normality import Normality

__all__ = ["Detector"]


class Detector(nn.Module):
    """image [B, C, H, W] in [-1, 1] -> (pred_score [B], anomaly_map [B, H, W], reconstruction [B, C, H, W]).

    Args:
        denoiser: (x_t, t) -> prediction.
        segmenter: what `compare` shows it -> logits [B, 1, H, W].
        schedule: the noise schedule.
        prediction: what the denoiser's output means.
        t_fine, t_coarse: steps of inference.
        guidance_weight: w of the norm guidance.
        noise: [2, C, H, W] (fine, coarse), the one noise of inference; it also fixes the working size.
        difference: show the segmenter |image - reconstruction| too.
        top_k: highest map pixels averaged into the score.
        normality: what residuals usually are at each place; None: the segmenter alone decides (the paper).
    """

    noise: Tensor

    def __init__(
        self,
        denoiser: nn.Module,
        segmenter: nn.Module,
        schedule: Schedule,
        *,
        prediction: Prediction,
        t_fine: int,
        t_coarse: int,
        guidance_weight: float,
        noise: Tensor,
        difference: bool,
        top_k: int,
        normality: Normality | None = None,
    ) -> None:
        super().__init__()
        self.denoiser, self.segmenter, self.schedule = denoiser, segmenter, schedule
        self.prediction: Prediction = prediction
        self.t_fine, self.t_coarse, self.guidance_weight = t_fine, t_coarse, guidance_weight
        self.difference, self.top_k = difference, top_k
        self.normality = normality
        self.register_buffer("noise", noise, persistent=False)

    def reconstruct(
        self, image: Tensor, t_fine: Tensor, t_coarse: Tensor, eps_fine: Tensor, eps_coarse: Tensor
    ) -> Reconstruction:
        """Noise to norm at steps t_fine, t_coarse [B] with the noise given, [B, C, H, W] each."""
        return reconstruct(
            self.denoiser,
            self.prediction,
            self.schedule,
            image,
            t_fine=t_fine,
            t_coarse=t_coarse,
            eps_fine=eps_fine,
            eps_coarse=eps_coarse,
            weight=self.guidance_weight,
        )

    def compare(self, image: Tensor, reconstruction: Tensor) -> Tensor:
        """The segmenter's logits [B, 1, H, W] for an image and its reconstruction, [B, C, H, W] each."""
        shown = [image, reconstruction]
        if self.difference:
            shown.append((image - reconstruction).abs())
        logits: Tensor = self.segmenter(torch.cat(shown, dim=1))
        return logits.to(image.dtype)

    @staticmethod
    def residual(image: Tensor, result: Reconstruction) -> Tensor:
        """Image less fine reconstruction, [B, C, H, W]; the guided one also lacks the detail of good parts."""
        return image - result.fine.clamp(-1, 1)

    def reconstruct_fixed(self, image: Tensor) -> Reconstruction:
        """Noise to norm at the steps and the noise of inference: the same image gives the same result."""
        steps = torch.ones(image.shape[0], dtype=torch.int64, device=image.device)
        return self.reconstruct(
            image,
            steps * self.t_fine,
            steps * self.t_coarse,
            self.noise[0].expand_as(image),
            self.noise[1].expand_as(image),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inference at the fixed steps and the fixed noise."""
        result = self.reconstruct_fixed(image)
        odds = self.compare(image, result.guided)[:, 0]
        if self.normality is not None:
            odds = self.normality.fuse(odds, self.residual(image, result))
        anomaly_map = torch.sigmoid(odds)
        score = anomaly_map.flatten(1).topk(self.top_k, dim=1).values.mean(dim=1)
        return score, anomaly_map, result.guided
