"""How far two images lie apart at each pixel: what stands in for a segmenter where there is none."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["DIFFERENCES", "squared", "ssim"]

WINDOW, SPREAD = 11, 1.5
"""Side and standard deviation in pixels of SSIM's Gaussian window (Wang et al. 2004, section III.B)."""


def squared(one: Tensor, other: Tensor) -> Tensor:
    """Mean over channels of the squared difference, [B, H, W] in 0..1; images [B, C, H, W] in [-1, 1]."""
    return ((one - other) / 2).square().mean(dim=1)


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """(1 - SSIM) / 2, mean over channels, [B, H, W] in 0..1; images [B, C, H, W] in [-1, 1] (Wang et al. 2004, Eq. 13).

    The window is cut off and filled with zeros at the picture's edge, for both images alike.
    """
    first, second = (one + 1) / 2, (other + 1) / 2
    mean_1, mean_2 = _windowed(first), _windowed(second)
    variance_1 = _windowed(first.square()) - mean_1.square()
    variance_2 = _windowed(second.square()) - mean_2.square()
    covariance = _windowed(first * second) - mean_1 * mean_2
    c_1, c_2 = 0.01**2, 0.03**2
    likeness = ((2 * mean_1 * mean_2 + c_1) * (2 * covariance + c_2)) / (
        (mean_1.square() + mean_2.square() + c_1) * (variance_1 + variance_2 + c_2)
    )
    return ((1 - likeness) / 2).mean(dim=1).clamp(0, 1)


DIFFERENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"squared": squared, "ssim": ssim}
"""By the name used in the settings."""


def _windowed(values: Tensor) -> Tensor:
    at = torch.arange(WINDOW, device=values.device, dtype=values.dtype) - WINDOW // 2
    kernel = torch.exp(-0.5 * (at / SPREAD) ** 2)
    kernel = (kernel / kernel.sum()).expand(values.shape[1], 1, 1, -1)
    across = F.conv2d(values, kernel, padding=(0, WINDOW // 2), groups=values.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), padding=(WINDOW // 2, 0), groups=values.shape[1])
