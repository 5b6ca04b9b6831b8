"""Brightness on a logarithmic scale, where equal steps are equal contrasts (Weber): a crack in a dark picture is as
strong as in a bright one. Where torch is the runtime.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffusionad.tensors import DARK, SPAN

__all__ = ["linear", "logarithm", "logarithmic"]


def logarithm(image: Tensor) -> Tensor:
    """Of brightness, for an image in [-1, 1]."""
    return torch.log(((image + 1) / 2).clamp(0, 1) + DARK)


def logarithmic(image: Tensor) -> Tensor:
    """The same scaled to [-1, 1]: black and white stay what they are."""
    return (logarithm(image) - math.log(DARK)) * (2 / SPAN) - 1


def linear(image: Tensor) -> Tensor:
    """The way back from `logarithmic`; what is beyond [-1, 1] is clamped."""
    return ((torch.exp((image.clamp(-1, 1) + 1) * (SPAN / 2)) - 1) * (2 * DARK) - 1).clamp(-1, 1)
