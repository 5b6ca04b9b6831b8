"""A fixed bank of filters: what edges, lines and colours a picture shows around each place, with nothing learned.

First and second derivatives of Gaussians in four directions at several scales, as in the filter banks of texture
analysis (Leung and Malik 2001; Varma and Zisserman 2005): magnitude of the slope, bright lines and dark lines apart,
each as the logarithm of its mean over a neighbourhood. Coarser scales come from a pyramid, so they cost little.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.blurring import blurred

__all__ = ["CELLS", "FilterBank"]

CELLS = 64
"""Cells along the shorter side at least, where there are as many pixels: the grid on which features lie."""

DIRECTIONS = 4
"""Of the derivatives, evenly spread over half a turn."""

REACH = 4
"""Pixels of a kernel to each side of its middle; the Gaussian's standard deviation is one pixel."""

FAINT = 0.01
"""Added to a response before its logarithm: what is fainter than about one grey level of 256 is nothing."""

COLOUR = 4.0
"""Weight of the mean colours beside the logarithms."""

COLOUR_WIDTHS = (0.5, 1.0, 2.0)
"""Blurs of the colours, in cells."""


class FilterBank(nn.Module):
    """image [B, C, H, W] in [-1, 1] -> features [B, features, H / cell, W / cell].

    Edges and lines are those of the mean of the channels.

    Args:
        channels: C.
        size: (H, W).
    """

    kernels: Tensor

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.cell = _cell(size)
        self.places = (size[0] // self.cell, size[1] // self.cell)
        self._levels = int(math.log2(self.cell)) + 1
        self.features = 3 * DIRECTIONS * self._levels + channels * len(COLOUR_WIDTHS)
        self.register_buffer("kernels", _derivatives(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        seen, level = [], image.mean(dim=1, keepdim=True)
        for number in range(self._levels):
            seen.append(torch.log(blurred(self._strength(level), 1.0) + FAINT))
            if number + 1 < self._levels:
                level = F.avg_pool2d(blurred(level, 1.0), 2)
        colours = F.avg_pool2d(image, self.cell)
        seen.extend(COLOUR * blurred(colours, width) for width in COLOUR_WIDTHS)
        return torch.cat(seen, dim=1)

    def _strength(self, level: Tensor) -> Tensor:
        """How steep, how bright a line and how dark a line in each direction: cell means [B, 3 x DIRECTIONS, h, w]."""
        padded = F.pad(level, (REACH, REACH, REACH, REACH), mode="replicate")
        responses, cell = F.conv2d(padded, self.kernels), level.shape[-2] // self.places[0]
        # The mean of what is positive is half of what |b| and b mean together: less work at the size of the picture.
        (slopes, bends), (_, signed) = (
            torch.chunk(F.avg_pool2d(it, cell), 2, dim=1) for it in (responses.abs(), responses)
        )
        return torch.cat([slopes, (bends - signed) / 2, (bends + signed) / 2], dim=1)


def _cell(size: tuple[int, int]) -> int:
    """Side of a cell: the largest power of two that divides both sides and leaves `CELLS` cells."""
    cell = 1
    while min(size) >= 2 * cell * CELLS and all(side % (2 * cell) == 0 for side in size):
        cell *= 2
    return cell


def _derivatives() -> Tensor:
    """[2 x DIRECTIONS, 1, K, K]: slopes, then bends; absolute weights add up to one."""
    at = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
    y, x = torch.meshgrid(at, at, indexing="ij")
    hill = torch.exp(-0.5 * (x * x + y * y))
    along = [x * math.cos(turn) + y * math.sin(turn) for turn in (math.pi * n / DIRECTIONS for n in range(DIRECTIONS))]
    bends = [(u * u - 1) * hill for u in along]
    kernels = torch.stack([*(-u * hill for u in along), *(bend - bend.mean() for bend in bends)])
    return (kernels / kernels.abs().sum(dim=(1, 2), keepdim=True))[:, None]
