"""The one border between pictures (uint8 or uint16, HWC) and images (float32, CHW, [-1, 1])."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from diffusionad.structures import BoolMap, Image, Picture

__all__ = ["DARK", "SPAN", "logarithmic", "shrunk", "shrunk_mask", "to_image", "to_picture"]

DARK = 0.05
"""Added to brightness in 0..1 before its logarithm, so that black has one."""

SPAN = math.log1p(1 / DARK)
"""From black to white, in logarithms."""


def to_image(picture: Picture) -> Image:
    """[H, W, C] uint8 0..255 or uint16 0..65535 -> [C, H, W] float32 in [-1, 1]; the full range of the type counts."""
    if picture.ndim != 3 or picture.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"a picture is HWC of uint8 or uint16, not {picture.dtype} of shape {picture.shape}")
    half_range = np.float32(np.iinfo(picture.dtype).max / 2)
    image = picture.transpose(2, 0, 1).astype(np.float32, order="C")  # a copy, so what follows needs no other
    image /= half_range
    image -= 1
    return image


def to_picture(image: Image) -> NDArray[np.uint8]:
    """[C, H, W] float in [-1, 1] (clamped) -> [H, W, C] uint8. The inverse of `to_image` on all 256 levels."""
    levels = np.clip(image, -1, 1)
    levels += 1
    levels *= np.float32(127.5)
    return np.ascontiguousarray(np.rint(levels, out=levels).astype(np.uint8).transpose(1, 2, 0))


def logarithmic(image: Image) -> Image:
    """An image in [-1, 1] with brightness on a logarithmic scale, in [-1, 1] too; see `brightness.logarithmic`."""
    scaled = (image + np.float32(1)) * np.float32(0.5 / DARK)
    np.log1p(scaled, out=scaled)
    scaled *= np.float32(2 / SPAN)
    scaled -= 1
    return scaled


def shrunk(image: Image, times: int) -> Image:
    """[C, H, W] -> [C, H / times, W / times]: each pixel the mean of `times` x `times`."""
    channels, height, width = image.shape
    smaller = np.zeros((channels, height // times, width // times), dtype=np.float32)
    for row in range(times):  # slice by slice: `mean` over two axes takes sixteen times as long
        for column in range(times):
            smaller += image[:, row::times, column::times]
    smaller *= np.float32(1 / times**2)
    return smaller


def shrunk_mask(mask: BoolMap, times: int) -> BoolMap:
    """[H, W] -> [H / times, W / times]: True where any of `times` x `times` is."""
    height, width = mask.shape
    blocks = mask.reshape(height // times, times, width // times, times)
    smaller: BoolMap = np.any(blocks, axis=(1, 3))
    return smaller
