"""A Gaussian blur of maps, where torch is the runtime."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blurred"]


def blurred(maps: Tensor, width: float) -> Tensor:
    """[B, C, H, W] after a Gaussian of standard deviation `width` pixels; edges are repeated.

    Both passes go down the columns, the second of the map on its side: OpenVINO 2026.4 never ends compiling a
    depthwise convolution of 15 or more taps along the rows in bf16.
    """
    reach = max(1, math.ceil(3 * width))
    at = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (at / width) ** 2)
    kernel = (kernel / kernel.sum()).expand(maps.shape[1], 1, 1, -1).transpose(2, 3)
    padded = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    down = F.conv2d(padded, kernel, groups=maps.shape[1])
    return F.conv2d(down.transpose(2, 3), kernel, groups=maps.shape[1]).transpose(2, 3)
