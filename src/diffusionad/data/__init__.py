"""From files on disk to arrays: reading, resizing, finding samples, finding the object."""

from __future__ import annotations

from diffusionad.data.finding import find_pictures
from diffusionad.data.foreground import Foreground, find_foreground, foreground_from_folder, whole_foreground
from diffusionad.data.layouts import ALL, DataSet, describe_layouts, find_samples, known_layouts, recognise
from diffusionad.data.pictures import BACKGROUND, MAX_PIXELS, MIN_SIDE, picture_size, read_mask, read_picture
from diffusionad.data.resize import resize, resize_map, resize_mask

__all__ = [
    "ALL",
    "BACKGROUND",
    "MAX_PIXELS",
    "MIN_SIDE",
    "DataSet",
    "Foreground",
    "describe_layouts",
    "find_foreground",
    "find_pictures",
    "find_samples",
    "foreground_from_folder",
    "known_layouts",
    "picture_size",
    "read_mask",
    "read_picture",
    "recognise",
    "resize",
    "resize_map",
    "resize_mask",
    "whole_foreground",
]
