"""Pictures into cells of patch x patch pixels, and the first convolution over them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PatchConv"]


class PatchConv(nn.Conv2d):
    """pixels [B, C, H, W] -> [B, outputs, H / patch, W / patch]: 3 x 3 over cells of patch x patch pixels.

    Its weights are those over cells, [outputs, C patch^2, 3, 3]. What is exported convolves the pixels themselves, with
    a kernel of 3 patch and strides of a patch: the same sums, without a copy of the picture in another order.
    """

    def __init__(self, channels: int, outputs: int, patch: int) -> None:
        super().__init__(channels * patch**2, outputs, 3, padding=1)
        self.patch = patch

    def forward(self, pixels: Tensor) -> Tensor:
        if self.patch == 1:
            return super().forward(pixels)
        if not torch.compiler.is_exporting():
            return super().forward(F.pixel_unshuffle(pixels, self.patch))
        return F.conv2d(pixels, self.over_pixels(), self.bias, stride=self.patch, padding=self.patch)

    def over_pixels(self) -> Tensor:
        """The weights over pixels, [outputs, C, 3 patch, 3 patch]."""
        outputs, side = self.weight.shape[0], 3 * self.patch
        cells = self.weight.reshape(outputs, -1, self.patch, self.patch, 3, 3)
        return cells.permute(0, 1, 4, 2, 5, 3).reshape(outputs, -1, side, side)
