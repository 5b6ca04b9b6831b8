"""The segmentation U-Net: picture and reconstruction in, one logit a pixel out (METHOD: paper section 3.3).

Its coarsest features come out too: they say in what surroundings each part lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.networks.patches import PatchConv

__all__ = ["Segmenter"]

Norm = Literal["batch", "group"]

PRIOR = 0.02
"""Share of anomalous pixels that an untrained segmenter believes in (Lin et al. 2017, section 4.1)."""


class Segmenter(nn.Module):
    """Feature maps [B, inputs, H, W] -> logits [B, 1, H, W] and the coarsest features [B, widths[-1], h, w], where
    H / h = W / w = `coarseness`.

    Args:
        inputs: channels, 6 for picture and reconstruction.
        widths: channels of each level, finest first; the grid halves between levels.
        patch: cells of patch x patch pixels are folded into channels first; H and W must be multiples of
            patch * 2 ** (levels - 1).
        norm: "batch" (the paper's) or "group" (the same for one process and for many).

    Paper: Sec. 3.2, segmentation sub-network
    """

    def __init__(self, *, inputs: int, widths: Sequence[int], patch: int = 1, norm: Norm = "batch") -> None:
        super().__init__()
        self.patch = patch
        self.coarseness = patch * 2 ** (len(widths) - 1)
        self.down = nn.ModuleList()
        now = inputs
        for level, width in enumerate(widths):
            self.down.append(_double(now, width, norm, patch if level == 0 else 1))
            now = width
        self.lift, self.up = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(widths) - 1)):
            width = widths[max(level - 1, 0)]  # already narrowed for the level above, as the authors do
            self.lift.append(_single(now, width, norm))
            self.up.append(_double(width + widths[level], width, norm))
            now = width
        self.leave = nn.Conv2d(now, patch**2, 3, padding=1)
        nn.init.constant_(self.leave.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else F.max_pool2d(features, 2))
            kept.append(features)
        context = kept.pop()
        for lift, block in zip(self.lift, self.up, strict=True):
            raised = F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
            features = block(torch.cat([lift(raised), kept.pop()], dim=1))
        logits = self.leave(features)
        return (F.pixel_shuffle(logits, self.patch) if self.patch > 1 else logits), context


def _single(inputs: int, outputs: int, norm: Norm, patch: int = 1) -> nn.Sequential:
    normal = nn.BatchNorm2d(outputs) if norm == "batch" else nn.GroupNorm(min(8, outputs), outputs)
    return nn.Sequential(PatchConv(inputs, outputs, patch), normal, nn.ReLU(inplace=True))


def _double(inputs: int, outputs: int, norm: Norm, patch: int = 1) -> nn.Sequential:
    return nn.Sequential(_single(inputs, outputs, norm, patch), _single(outputs, outputs, norm))
