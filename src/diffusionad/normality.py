"""What a residual usually looks like at each place of a good picture, and how far one lies from that.

A reconstruction is never perfect: edges and print leave a residual on every good part. So each place is judged by its
own habit: mean and covariance of the residual, blurred to several widths, over good training pictures; the distance is
Mahalanobis's. The statistics are PaDiM's (Defard et al. 2021, section 3), of residuals instead of pretrained features.
Where pictures have no fixed places (tiles, textures), one habit is pooled over all places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Normality"]

NOISE = 0.01
"""Standard deviation added to every residual, on the [-1, 1] scale: about one grey level of 256."""

NEIGHBOURHOOD = 1 / 64
"""Covariances are averaged over neighbours, a Gaussian of this share of the shorter side: parts never lie exactly."""

USUAL = 0.99
"""Share of the pixels of a good picture that lie within one unit of deviation."""

POWER = 4.0
"""Odds that a deviation alone stands for: its fourth power."""

FLOOR = 1e-4
"""Added to squared distances, so that their logarithm is finite."""


class Normality(nn.Module):
    """residual [B, C, H, W] -> log deviation [B, H, W]; 0 everywhere until it is fitted.

    0 is where the most unusual hundredth of a good picture's pixels begins, log 2 is twice that distance.

    Args:
        channels: C.
        size: (H, W).
        widths: standard deviations of the blurs, as shares of the shorter side.
        pooled: one mean and covariance for all places, instead of one for each.
    """

    mean: Tensor
    whitening: Tensor
    offset: Tensor
    share: Tensor

    def __init__(self, channels: int, size: tuple[int, int], widths: Sequence[float], *, pooled: bool = False) -> None:
        super().__init__()
        self._pooled = pooled
        self._widths = [width * min(size) for width in widths]
        self._neighbourhood = NEIGHBOURHOOD * min(size)
        features, places = channels * len(widths), (1, 1) if pooled else size
        self.register_buffer("mean", torch.zeros(features, *places))
        self.register_buffer("whitening", torch.zeros(features, features, *places))
        self.register_buffer("offset", torch.tensor(0.5 * math.log(FLOOR)))
        self.register_buffer("share", torch.tensor(0.0))

    def forward(self, residual: Tensor) -> Tensor:
        centred = self._features(residual) - self.mean
        whitened = (self.whitening * centred[:, None]).sum(dim=2)
        return 0.5 * torch.log(whitened.square().mean(dim=1) + FLOOR) - self.offset

    def fuse(self, logits: Tensor, residual: Tensor) -> Tensor:
        """Log odds [B, H, W]: the geometric mean of the segmenter's odds (logits [B, H, W]) and the deviation's.

        The segmenter knows shapes of planted defects; the deviation of the residual [B, C, H, W] knows no defects, only
        what this place shows on good parts. `share`, 0..1, is the deviation's weight; 0 until it is chosen.
        """
        return torch.lerp(logits, POWER * self(residual), self.share)

    @torch.no_grad()
    def fit(self, residuals: Iterable[Tensor], held_out: Iterable[Tensor]) -> None:
        """Learn from residuals [C, H, W] of good pictures; `held_out` ones, of other good pictures, set the unit.

        The covariance of a place is drawn towards that of the whole picture, the more the fewer pictures there are.
        Memory: a few times [F, F, H, W] in float64, F = C x widths, however many pictures there are.
        """
        count, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        products = torch.zeros_like(self.whitening, dtype=torch.float64)
        for residual in residuals:
            features = self._features(residual[None])[0].double()
            count, total = count + 1, total + self._gathered(features)
            products += self._gathered(features[:, None] * features[None])
        mean, size = total / count, len(total)
        here = _blurred(products / count - mean[:, None] * mean[None], self._neighbourhood)
        everywhere = here.mean(dim=(2, 3), keepdim=True)
        noise = NOISE**2 * torch.eye(size, dtype=torch.float64, device=mean.device)
        covariance = torch.lerp(here, everywhere.expand_as(here), size / (size + count)).permute(2, 3, 0, 1) + noise
        # C = L L^T, whitening L^-1: |L^-1 d|^2 = d^T C^-1 d
        lower = torch.linalg.cholesky(covariance)
        whitening = torch.linalg.solve_triangular(lower, torch.eye(size).to(lower).expand_as(lower), upper=False)
        self.mean.copy_(mean)
        self.whitening.copy_(whitening.permute(2, 3, 0, 1))
        self.offset.zero_()
        usual = [torch.quantile(self(residual[None]), USUAL) for residual in held_out]
        self.offset.copy_(torch.stack(usual).mean())

    def _gathered(self, values: Tensor) -> Tensor:
        """[..., H, W] for each place, or [..., 1, 1] when all places are one."""
        return values.mean(dim=(-2, -1), keepdim=True) if self._pooled else values

    def _features(self, residual: Tensor) -> Tensor:
        return torch.cat([_blurred(residual, width) for width in self._widths], dim=1)


def _blurred(maps: Tensor, width: float) -> Tensor:
    """[B, C, H, W] after a Gaussian of standard deviation `width` pixels; edges are repeated."""
    reach = max(1, math.ceil(3 * width))
    at = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (at / width) ** 2)
    kernel = (kernel / kernel.sum()).expand(maps.shape[1], 1, 1, -1)
    padded = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, kernel, groups=maps.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=maps.shape[1])
