"""From files on disk to arrays: reading, fitting, finding samples, finding the object."""

from __future__ import annotations

from diffusionad.data.finding import find_pictures
from diffusionad.data.fit import Framing, View
from diffusionad.data.foreground import Foreground, find_foreground, foreground_from_folder, whole_foreground
from diffusionad.data.layouts import describe_layouts, find_samples
from diffusionad.data.pictures import BACKGROUND, MAX_PIXELS, MIN_SIDE, picture_size, read_mask, read_picture
from diffusionad.data.resize import resize, resize_map, resize_mask

__all__ = [
    "BACKGROUND",
    "MAX_PIXELS",
    "MIN_SIDE",
    "Foreground",
    "Framing",
    "View",
    "describe_layouts",
    "find_foreground",
    "find_pictures",
    "find_samples",
    "foreground_from_folder",
    "picture_size",
    "read_mask",
    "read_picture",
    "resize",
    "resize_map",
    "resize_mask",
    "whole_foreground",
]
