"""A fixed bank of filters: what edges, lines and colours a picture shows around each place, with nothing learned.

First and second derivatives of Gaussians in several directions at several scales, as in the filter banks of texture
analysis (Leung and Malik 2001; Varma and Zisserman 2005): magnitude of the slope, bright lines and dark lines apart,
each as the logarithm of its mean over a neighbourhood. They are taken of the logarithm of brightness: a crack in a dark
picture is as strong as in a bright one, which is Weber's contrast. Coarser scales come from a pyramid, so they cost
little. There lines are averaged along themselves first, much further than in those banks: a crack is followed through
its faint parts. At the finest scale that would cost three times as much again and gain little.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.blurring import blurred
from diffusionad.brightness import logarithm

__all__ = ["CELLS", "FilterBank"]

CELLS = 64
"""Cells along the shorter side at least, where there are as many pixels: the grid on which features lie."""

DIRECTIONS = 4
"""Of slopes, bright and dark lines that are told apart, evenly spread over half a turn."""

STEPS = (
    *((0, 4), (-1, 4), (-2, 4), (-2, 3), (-3, 3), (-3, 2), (-4, 2), (-4, 1)),
    *((-4, 0), (4, 1), (4, 2), (3, 2), (3, 3), (2, 3), (2, 4), (1, 4)),
)
"""(across, down) in whole pixels along a line, for each direction in which lines are looked for."""

REACH = 4
"""Pixels of a slope's kernel to each side of its middle; the Gaussian's standard deviation is one pixel."""

LINE_REACH = 5
"""The same of a line's kernel, whose standard deviations are one pixel across and two along."""

TRACE_REACH = 4
"""Pixels of the longest step, across or down."""

STRIDES = (1, 3)
"""Steps between the three responses of which one is made, in turn: 9 responses, 36 pixels or so."""

FAINT = 0.02
"""Added to a response before its logarithm: contrasts of less than about two percent are nothing."""

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

    derivatives: Tensor
    lines: Tensor
    traces: Tensor
    shares: Tensor

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.cell = _cell(size)
        self.places = (size[0] // self.cell, size[1] // self.cell)
        self._levels = int(math.log2(self.cell)) + 1
        self.features = 3 * DIRECTIONS * self._levels + channels * len(COLOUR_WIDTHS)
        bends = _bends(1.0, REACH)[:: len(STEPS) // DIRECTIONS]
        self.register_buffer("derivatives", torch.cat([_slopes(), bends]), persistent=False)
        self.register_buffer("lines", _bends(2.0, LINE_REACH), persistent=False)
        self.register_buffer("traces", _traces(), persistent=False)
        self.register_buffer("shares", _shares(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        level = logarithm(image.mean(dim=1, keepdim=True))
        strengths = [self._strength(level, is_finest=True)]
        for _ in range(1, self._levels):
            level = F.avg_pool2d(blurred(level, 1.0), 2)
            strengths.append(self._strength(level, is_finest=False))
        faint = torch.log(blurred(torch.cat(strengths, dim=1), 1.0) + FAINT)
        colours = logarithm(F.avg_pool2d(image, self.cell))
        return torch.cat([faint, *(COLOUR * blurred(colours, width) for width in COLOUR_WIDTHS)], dim=1)

    def _strength(self, level: Tensor, *, is_finest: bool) -> Tensor:
        """How steep, how bright a line and how dark a line in each direction: cell means [B, 3 x DIRECTIONS, h, w]."""
        cell = level.shape[-2] // self.places[0]
        # The mean of what is positive is half of what |b| and b mean together: less work at the size of the picture.
        if is_finest:
            responses = F.conv2d(_padded(level, REACH), self.derivatives)
            slopes, either = F.avg_pool2d(responses.abs(), cell).chunk(2, dim=1)
            _, signed = F.avg_pool2d(responses, cell).chunk(2, dim=1)
        else:
            slopes = F.avg_pool2d(F.conv2d(_padded(level, REACH), self.derivatives[:DIRECTIONS]).abs(), cell)
            bends = F.conv2d(_padded(level, TRACE_REACH * sum(STRIDES) + LINE_REACH), self.lines)
            for stride in STRIDES:
                bends = F.conv2d(bends, self.traces, dilation=stride, groups=len(STEPS))
            either, signed = (F.conv2d(F.avg_pool2d(it, cell), self.shares) for it in (bends.abs(), bends))
        return torch.cat([slopes, (either - signed) / 2, (either + signed) / 2], dim=1)


def _cell(size: tuple[int, int]) -> int:
    """Side of a cell: the largest power of two that divides both sides and leaves `CELLS` cells."""
    cell = 1
    while min(size) >= 2 * cell * CELLS and all(side % (2 * cell) == 0 for side in size):
        cell *= 2
    return cell


def _padded(level: Tensor, reach: int) -> Tensor:
    return F.pad(level, (reach, reach, reach, reach), mode="replicate")


def _slopes() -> Tensor:
    """[DIRECTIONS, 1, K, K]: first derivatives of a Gaussian; absolute weights add up to one."""
    turns = [math.pi * number / DIRECTIONS for number in range(DIRECTIONS)]
    kernels = [-across * hill for across, hill in (_hill(REACH, turn, 1.0) for turn in turns)]
    return _of_weight_one(kernels)


def _bends(length: float, reach: int) -> Tensor:
    """[len(STEPS), 1, K, K]: second derivatives across each line, of a Gaussian `length` pixels long.

    Each adds up to nothing, its absolute weights to one.
    """
    kernels = []
    for across, down in STEPS:
        apart, hill = _hill(reach, math.atan2(-across, down), length)
        bend = (apart * apart - 1) * hill
        kernels.append(bend - hill * bend.sum() / hill.sum())
    return _of_weight_one(kernels)


def _traces() -> Tensor:
    """[len(STEPS), 1, K, K]: the mean of a place and those one step before and after, in each direction."""
    kernels = torch.zeros(len(STEPS), 1, 2 * TRACE_REACH + 1, 2 * TRACE_REACH + 1)
    for kernel, (across, down) in zip(kernels, STEPS, strict=True):
        for steps in (-1, 0, 1):
            kernel[0, TRACE_REACH + steps * down, TRACE_REACH + steps * across] = 1 / 3
    return kernels


def _shares() -> Tensor:
    """[DIRECTIONS, len(STEPS), 1, 1]: how much each line counts for each direction; those half way count for both."""
    each = len(STEPS) // DIRECTIONS
    apart = torch.arange(len(STEPS))[None] - each * torch.arange(DIRECTIONS)[:, None]
    distance = torch.minimum(apart % len(STEPS), -apart % len(STEPS))
    shares = (distance < each / 2).float() + 0.5 * (distance == each / 2)
    return (shares / shares.sum(dim=1, keepdim=True))[:, :, None, None]


def _hill(reach: int, turn: float, length: float) -> tuple[Tensor, Tensor]:
    """Distance from the line through the middle whose normal points at `turn`, and a Gaussian one pixel wide across it
    and `length` pixels along it, [K, K] each.
    """
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    y, x = torch.meshgrid(at, at, indexing="ij")
    across, along = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return across, torch.exp(-0.5 * (across**2 + (along / length) ** 2))


def _of_weight_one(kernels: list[Tensor]) -> Tensor:
    stacked = torch.stack(kernels)
    return (stacked / stacked.abs().sum(dim=(1, 2), keepdim=True))[:, None]
