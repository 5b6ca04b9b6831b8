"""A convolution over cells of pixels is the same one over the pixels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from diffusionad.networks.patches import PatchConv


@pytest.mark.parametrize("patch", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_the_weights_over_pixels_are_those_over_cells(patch: int, channels: int) -> None:
    torch.manual_seed(0)
    layer, pixels = PatchConv(channels, 5, patch).double(), torch.randn(2, channels, 8 * patch, 6 * patch).double()
    over_pixels = F.conv2d(pixels, layer.over_pixels(), layer.bias, stride=patch, padding=patch)
    torch.testing.assert_close(layer(pixels), over_pixels)
    assert over_pixels.shape == (2, 5, 8, 6)


def test_what_is_exported_orders_no_pixels_anew() -> None:
    layer = PatchConv(3, 5, 4).eval()
    program = torch.export.export(layer, (torch.randn(1, 3, 16, 16),))
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert not any("unshuffle" in name for name in called)
    pixels = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(program.module()(pixels), layer(pixels))
