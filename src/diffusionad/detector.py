"""The detector: networks, normality and the fixed noise, from an image to a map (METHOD: Fig. 3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.blurring import enlarged
from diffusionad.brightness import linear, logarithmic
from diffusionad.differences import DIFFERENCES
from diffusionad.diffusion import Reconstruction, Sampler, Schedule, iterate, one_step, reconstruct
from diffusionad.diffusion.reconstruct import Prediction
from diffusionad.networks import Autoencoder
from diffusionad.normality import Evidence, Normality

__all__ = ["Detector", "Restoring"]

FLOOR = 1e-7
"""Smallest map value whose odds are taken."""


@dataclass(frozen=True, slots=True)
class Restoring:
    """How inference gets from an image to its reconstruction.

    Attributes:
        kind: norm-guided (journal version), one-step, averaged (v1: a map for each step), or iterative (AnoDDPM).
        prediction: what the denoiser's output means.
        averaged: steps of the averaged kind.
        stride, sampler: of the iterative kind, which begins at t_fine.
    """

    kind: Literal["norm-guided", "one-step", "averaged", "iterative"] = "norm-guided"
    prediction: Prediction = "x0"
    averaged: tuple[int, ...] = ()
    stride: int = 1
    sampler: Sampler = "ddim"


class Detector(nn.Module):
    """image [B, C, H, W] in [-1, 1] -> (pred_score [B], anomaly_map [B, H, W], reconstruction [B, C, H, W]).

    Args:
        denoiser: (x_t, t) -> prediction; an `Autoencoder` maps the image to its reconstruction at once; None: there is
            no reconstruction, the image itself stands in its place.
        segmenter: what `compare` shows it -> logits [B, 1, H, W] and coarse features; None: the difference is the map.
        schedule: the noise schedule.
        restoring: how inference restores.
        t_fine, t_coarse: steps of inference; only the norm-guided kind has a coarse one.
        guidance_weight: w of the norm guidance.
        noise: [N, C, h, w] (fine, coarse, or what the kind needs), the one noise of inference; it also fixes the size
            at which the networks see.
        difference: show the segmenter |image - reconstruction| too.
        difference_map: a name in `differences.DIFFERENCES`, the map where there is no segmenter.
        top_k: highest map pixels averaged into the score.
        least: the least of the `top_k` highest pixels is the score, not their mean.
        normality: what is usual at each place; None: segmenter or difference alone decide (the paper).
        shrink: H / h, how many times smaller the networks see the image than it is.
        logarithmic: the networks see brightness on a logarithmic scale.
    """

    noise: Tensor

    def __init__(
        self,
        denoiser: nn.Module | None,
        segmenter: nn.Module | None,
        schedule: Schedule,
        *,
        restoring: Restoring,
        t_fine: int,
        t_coarse: int,
        guidance_weight: float,
        noise: Tensor,
        difference: bool,
        difference_map: str = "squared",
        top_k: int,
        least: bool = False,
        normality: Normality | None = None,
        shrink: int = 1,
        logarithmic: bool = False,
    ) -> None:
        super().__init__()
        self.denoiser, self.segmenter, self.schedule = denoiser, segmenter, schedule
        self.restoring = restoring
        self.t_fine, self.t_coarse, self.guidance_weight = t_fine, t_coarse, guidance_weight
        self.difference, self.difference_map = difference, difference_map
        self.top_k, self.least = top_k, least
        self.normality = normality
        self.shrink, self.logarithmic = shrink, logarithmic
        self.register_buffer("noise", noise, persistent=False)

    @property
    def diffuses(self) -> bool:
        """Whether there is a denoiser, which noise must be given to."""
        return self.denoiser is not None and not isinstance(self.denoiser, Autoencoder)

    @property
    def _steps(self) -> int:
        """Reconstructions of an image whose maps are averaged."""
        return len(self.restoring.averaged) if self.diffuses and self.restoring.kind == "averaged" else 1

    @property
    def is_guided(self) -> bool:
        """Whether there are two noise scales, in training too."""
        return self.restoring.kind == "norm-guided"

    def reconstruct(
        self, image: Tensor, t_fine: Tensor, t_coarse: Tensor, eps_fine: Tensor, eps_coarse: Tensor
    ) -> Reconstruction:
        """Noise to norm at steps t_fine, t_coarse [B] with the noise given, [B, C, H, W] each.

        Where there is one noise scale, only t_fine and eps_fine count; where there is no denoiser, none of them.
        """
        if self.denoiser is None:
            return Reconstruction(image, image, None, image)
        if not self.diffuses:
            restored: Tensor = self.denoiser(image).to(image.dtype)
            return Reconstruction(restored.clamp(-1, 1), restored, None, image)
        if not self.is_guided:
            return one_step(self.denoiser, self.restoring.prediction, self.schedule, image, t=t_fine, eps=eps_fine)
        return reconstruct(
            self.denoiser,
            self.restoring.prediction,
            self.schedule,
            image,
            t_fine=t_fine,
            t_coarse=t_coarse,
            eps_fine=eps_fine,
            eps_coarse=eps_coarse,
            weight=self.guidance_weight,
        )

    def compare(self, image: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits [B, 1, H, W] for an image and its reconstruction, [B, C, H, W] each: the segmenter's, with its
        coarsest features, or the odds of their difference. Without a denoiser the segmenter sees the image alone.
        """
        if self.segmenter is None:
            apart = DIFFERENCES[self.difference_map](image, reconstruction)
            return torch.logit(apart, FLOOR)[:, None], None
        shown = [image]
        if self.denoiser is not None:
            shown.append(reconstruction)
            if self.difference:
                shown.append((image - reconstruction).abs())
        logits, context = self.segmenter(torch.cat(shown, dim=1))
        return logits.to(image.dtype), context.to(image.dtype)

    def residual(self, image: Tensor, result: Reconstruction) -> Tensor:
        """Image less fine reconstruction, [B, C, H, W]; the guided one also lacks the detail of good parts.

        Without a denoiser it is the image itself.
        """
        if self.denoiser is None:
            return image
        # clamped a second time, what is `guided` already would be merged away on export, under a name still in use
        return image - (result.guided if result.coarse is None else result.fine.clamp(-1, 1))

    def disturbed(self, image: Tensor) -> Tensor:
        """What the denoiser is first shown of an image as it sees it, [B, C, h, w]; else the image itself."""
        if not self.diffuses:
            return image
        first = self.restoring.averaged[0] if self.restoring.kind == "averaged" else self.t_fine
        steps = torch.full((image.shape[0],), first, device=image.device)
        return self.schedule.disturb(image, steps, self.noise[0].expand_as(image))

    def reconstruct_fixed(self, image: Tensor) -> Reconstruction:
        """Noise to norm at the steps and the noise of inference: the same image gives the same result.

        Of the averaged kind it is the mean over the steps.
        """
        return _mean(self._at_every_step(image), self._steps)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inference at the fixed steps and the fixed noise.

        Paper: Alg. 2; Fig. 3, pipeline
        """
        evidence, reconstruction = self.witness(image)
        odds = evidence.logits if self.normality is None else self.normality(evidence, image)
        anomaly_map = torch.sigmoid(self._enlarged(odds[:, None])[:, 0])
        highest = anomaly_map.flatten(1).topk(self.top_k, dim=1).values
        score = highest[:, -1] if self.least else highest.mean(dim=1)
        return score, anomaly_map, self._enlarged(linear(reconstruction) if self.logarithmic else reconstruction)

    def witness(self, image: Tensor) -> tuple[Evidence, Tensor]:
        """What the networks say of an image [B, C, H, W], and its reconstruction [B, C, h, w] as they see it."""
        seen = self.seen(image)
        every, times = self._at_every_step(seen), self._steps
        result = _mean(every, times)
        logits, context = self.compare(seen.repeat(times, 1, 1, 1), every.guided)
        if context is not None and times > 1:
            context = torch.stack(context.chunk(times)).mean(dim=0)
        odds = _odds_of_mean(logits[:, 0], times)
        return Evidence(odds, self.residual(seen, result), context), result.guided

    def seen(self, image: Tensor) -> Tensor:
        """The image as the networks see it, [B, C, h, w]: each pixel the mean of `shrink` x `shrink`, then scaled."""
        smaller = image if self.shrink == 1 else F.avg_pool2d(image, self.shrink)
        return logarithmic(smaller) if self.logarithmic else smaller

    def _enlarged(self, maps: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, H, W]."""
        return maps if self.shrink == 1 else enlarged(maps, self.shrink)

    def _at_every_step(self, image: Tensor) -> Reconstruction:
        """[N B, C, H, W]: one step after the other of the averaged kind as one batch; N = 1 for all others."""
        restoring, batch = self.restoring, image.shape[0]
        if self.diffuses and restoring.kind == "iterative":
            return iterate(
                self.denoiser,  # type: ignore[arg-type]  # it diffuses, so it is there
                restoring.prediction,
                self.schedule,
                image,
                t=self.t_fine,
                stride=restoring.stride,
                sampler=restoring.sampler,
                noise=self.noise,
            )
        if self.diffuses and restoring.kind == "averaged":
            times = self._steps
            steps = torch.tensor(restoring.averaged, device=image.device).repeat_interleave(batch)
            eps = self.noise[:times].repeat_interleave(batch, dim=0)
            return self.reconstruct(image.repeat(times, 1, 1, 1), steps, steps, eps, eps)
        ones = torch.ones(batch, dtype=torch.int64, device=image.device)
        eps_fine, eps_coarse = (eps.expand_as(image) for eps in self.noise[:2])
        return self.reconstruct(image, ones * self.t_fine, ones * self.t_coarse, eps_fine, eps_coarse)


def _mean(every: Reconstruction, times: int) -> Reconstruction:
    """From [N B, ...] to [B, ...], N being `times`; the noisy image is that of the first step."""
    if times == 1:
        return every
    guided = torch.stack(every.guided.chunk(times)).mean(dim=0)
    return Reconstruction(guided, guided, None, every.fine_noisy.chunk(times)[0])


def _odds_of_mean(logits: Tensor, times: int) -> Tensor:
    """[N B, H, W] logits -> [B, H, W] log odds of the mean of their N maps."""
    if times == 1:
        return logits
    each = torch.stack(logits.chunk(times))
    return torch.logsumexp(F.logsigmoid(each), dim=0) - torch.logsumexp(F.logsigmoid(-each), dim=0)
