"""A Gaussian blur of maps, where torch is the runtime."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blurred"]


def blurred(maps: Tensor, width: float) -> Tensor:
    """[B, C, H, W] after a Gaussian of standard deviation `width` pixels; edges are repeated."""
    reach = max(1, math.ceil(3 * width))
    at = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (at / width) ** 2)
    kernel = (kernel / kernel.sum()).expand(maps.shape[1], 1, 1, -1)
    padded = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, kernel, groups=maps.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=maps.shape[1])
