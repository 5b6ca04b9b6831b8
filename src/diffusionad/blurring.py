"""Maps blurred and enlarged, where torch is the runtime."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blurred", "enlarged", "resized"]

WIDEST = 6
"""Reach along the rows. OpenVINO 2026.4 never ends compiling a depthwise convolution of 15 taps along the rows in bf16;
down the columns, and so of the map on its side, any number will do.
"""


def blurred(maps: Tensor, width: float) -> Tensor:
    """[B, C, H, W] after a Gaussian of standard deviation `width` pixels; edges are repeated."""
    reach = max(1, math.ceil(3 * width))
    at = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (at / width) ** 2)
    kernel = (kernel / kernel.sum()).expand(maps.shape[1], 1, 1, -1)
    padded = F.pad(maps, (reach, reach, reach, reach), mode="replicate")
    down = F.conv2d(padded, kernel.transpose(2, 3), groups=maps.shape[1])
    if reach <= WIDEST:
        return F.conv2d(down, kernel, groups=maps.shape[1])
    return F.conv2d(down.transpose(2, 3), kernel.transpose(2, 3), groups=maps.shape[1]).transpose(2, 3)


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """[..., H, W] -> [..., *size]: bilinear, edges repeated.

    The same as `interpolate` with its corners not aligned, as a matrix for each side: of small maps this takes
    OpenVINO a third of the time.
    """
    down, across = (
        _tents(after, before).to(maps) for after, before in zip(size, (maps.shape[-2], maps.shape[-1]), strict=True)
    )
    return down @ maps @ across.T


def enlarged(maps: Tensor, times: int) -> Tensor:
    """[B, C, H, W] -> [B, C, times H, times W]: bilinear, edges repeated.

    The same as `resized`, which takes twice as long for large maps.
    """
    taps = 2 * times - times % 2
    tent = 1 - (torch.arange(taps, device=maps.device, dtype=maps.dtype) - (taps - 1) / 2).abs() / times
    kernel = (tent[:, None] * tent).expand(maps.shape[1], 1, -1, -1)
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    return F.conv_transpose2d(padded, kernel, stride=times, padding=times + times // 2, groups=maps.shape[1])


def _tents(after: int, before: int) -> Tensor:
    """[after, before]: how much each place counts for each new one."""
    at = ((torch.arange(after) + 0.5) * (before / after) - 0.5).clamp(0, before - 1)
    return (1 - (at[:, None] - torch.arange(before)).abs()).clamp(min=0)
