"""The denoising U-Net (METHOD: paper section 3.2; Ho et al. 2020, Dhariwal and Nichol 2021).

One class serves the paper's network (131,654,403 parameters, patch 1) and a network that two CPU cores train in
minutes (patch 4: the picture is folded into a grid of cells before, and unfolded after).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.networks.patches import PatchConv

__all__ = ["Denoiser", "step_embedding"]

StepEmbedding = Literal["additive", "scale_shift"]


def step_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoids of the step (Vaswani et al. 2017, section 3.5): t [B] -> [B, width]."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, device=t.device, dtype=torch.float32) * (-math.log(10000.0) / half))
    angles = t.float()[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """Two convolutions around a step embedding; may halve or double the grid on its way (BigGAN style)."""

    def __init__(
        self, inputs: int, outputs: int, embedding: int, mode: StepEmbedding, groups: int, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.scale, self.mode = scale, mode
        self.norm_in = nn.GroupNorm(min(groups, inputs), inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.embed = nn.Linear(embedding, outputs * (2 if mode == "scale_shift" else 1))
        self.norm_out = nn.GroupNorm(min(groups, outputs), outputs)
        self.conv_out = _zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        hidden = F.silu(self.norm_in(features))
        hidden, features = _rescale(hidden, self.scale), _rescale(features, self.scale)
        hidden = self.conv_in(hidden)
        step = self.embed(F.silu(embedding))[:, :, None, None]
        if self.mode == "scale_shift":
            gain, shift = step.chunk(2, dim=1)
            hidden = self.norm_out(hidden) * (1 + gain) + shift
        else:
            hidden = self.norm_out(hidden + step)
        result: Tensor = self.skip(features) + self.conv_out(F.silu(hidden))
        return result


class Attention(nn.Module):
    """Self-attention over the grid's cells."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(min(groups, channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.project = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        qkv = self.qkv(self.norm(features)).reshape(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = qkv.transpose(-1, -2).contiguous().unbind(1)  # the fused kernel wants whole rows
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(-1, -2)
        projected: Tensor = self.project(mixed.reshape(batch, channels, height, width))
        return features + projected


class _Stage(nn.Module):
    """A residual block and, where asked, attention after it."""

    def __init__(self, block: ResidualBlock, attention: Attention | None) -> None:
        super().__init__()
        self.block, self.attention = block, attention
        self.takes_skip = block.scale == 1.0

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        features = self.block(features, embedding)
        attended: Tensor = features if self.attention is None else self.attention(features)
        return attended


class Denoiser(nn.Module):
    """x_t [B, C, H, W] and step t [B] -> prediction [B, C, H, W] (of the noise or of the clean image).

    Args:
        channels: C of the image.
        width: channels of the first level.
        multipliers: channels of each level as multiples of `width`; the grid halves between levels.
        blocks: residual blocks a level on the way down; one more on the way up.
        attention_levels: levels (0 = finest) with self-attention.
        heads: attention heads at every level.
        patch: cells of patch x patch pixels are folded into channels first; H and W must be multiples of
            patch * 2 ** (levels - 1).
        embedding: "additive" (the paper's) or "scale_shift".
        groups: groups of each GroupNorm.

    Paper: Sec. 3.2, denoising sub-network
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention_levels: Sequence[int],
        heads: int,
        patch: int = 1,
        embedding: StepEmbedding = "additive",
        groups: int = 32,
    ) -> None:
        super().__init__()
        self.width, self.patch = width, patch
        embedded = 4 * width
        self.embed = nn.Sequential(nn.Linear(width, embedded), nn.SiLU(), nn.Linear(embedded, embedded))

        def stage(inputs: int, outputs: int, level: int, scale: float = 1.0) -> _Stage:
            block = ResidualBlock(inputs, outputs, embedded, embedding, groups, scale)
            attend = level in attention_levels and scale == 1.0
            return _Stage(block, Attention(outputs, heads, groups) if attend else None)

        self.enter = PatchConv(channels, width, patch)
        self.down, kept, now = nn.ModuleList(), [width], width
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(stage(now, width * multiplier, level))
                now = width * multiplier
                kept.append(now)
            if level + 1 < len(multipliers):
                self.down.append(stage(now, now, level, 0.5))
                kept.append(now)
        first, last = (ResidualBlock(now, now, embedded, embedding, groups) for _ in range(2))
        self.middle = nn.ModuleList([_Stage(first, Attention(now, heads, groups)), _Stage(last, None)])
        self.up = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for index in range(blocks + 1):
                self.up.append(stage(now + kept.pop(), width * multiplier, level))
                now = width * multiplier
                if level > 0 and index == blocks:
                    self.up.append(stage(now, now, level, 2.0))
        self.leave = nn.Sequential(
            nn.GroupNorm(min(groups, now), now),
            nn.SiLU(),
            _zeroed(nn.Conv2d(now, channels * patch**2, 3, padding=1)),
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        embedding = self.embed(step_embedding(t, self.width))
        features = self.enter(x_t)
        kept = [features]
        for stage in self.down:
            features = stage(features, embedding)
            kept.append(features)
        for stage in self.middle:
            features = stage(features, embedding)
        for stage in self.up:
            if stage.takes_skip:
                features = torch.cat([features, kept.pop()], dim=1)
            features = stage(features, embedding)
        prediction = self.leave(features)
        return F.pixel_shuffle(prediction, self.patch) if self.patch > 1 else prediction


def _rescale(features: Tensor, scale: float) -> Tensor:
    if scale == 0.5:
        return F.avg_pool2d(features, 2)
    if scale == 2.0:
        return F.interpolate(features, scale_factor=2.0, mode="nearest")
    return features


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
