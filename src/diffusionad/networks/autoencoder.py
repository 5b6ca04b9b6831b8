"""An autoencoder in the denoiser's place: the ablation DRAEM+ of the paper (v1, section 4.4; Zavrtanik et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.networks.patches import PatchConv

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module):
    """image [B, C, H, W] -> reconstruction [B, C, H, W], through a narrow middle and past nothing.

    Args:
        channels: C of the image.
        widths: channels of each level, finest first; the grid halves between levels.
        patch: cells of patch x patch pixels are folded into channels first; H and W must be multiples of
            patch * 2 ** (levels - 1).
        groups: groups of each GroupNorm.

    Paper: Sec. 4.4, DRAEM+
    """

    def __init__(self, *, channels: int = 3, widths: Sequence[int], patch: int = 1, groups: int = 8) -> None:
        super().__init__()
        self.patch = patch
        inputs = [channels, *widths]
        self.down = nn.ModuleList(
            _double(inputs[level], width, groups, patch if level == 0 else 1) for level, width in enumerate(widths)
        )
        back = list(reversed(widths))
        self.up = nn.ModuleList(_double(wide, narrow, groups) for wide, narrow in pairwise(back))
        self.leave = nn.Conv2d(widths[0], channels * patch**2, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        features = image
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else F.avg_pool2d(features, 2))
        for block in self.up:
            features = block(F.interpolate(features, scale_factor=2.0, mode="nearest"))
        reconstruction = self.leave(features)
        return F.pixel_shuffle(reconstruction, self.patch) if self.patch > 1 else reconstruction


def _double(inputs: int, outputs: int, groups: int, patch: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, cell in ((inputs, patch), (outputs, 1)):
        layers += [PatchConv(width, outputs, cell), nn.GroupNorm(min(groups, outputs), outputs), nn.SiLU()]
    return nn.Sequential(*layers)
