"""From files on disk to arrays: reading, fitting, finding samples, finding the object."""

from __future__ import annotations

from diffusionad.data.defects import find_defects
from diffusionad.data.finding import find_pictures
from diffusionad.data.fit import Framing, View
from diffusionad.data.foreground import Foreground, find_foreground, foreground_from_folder, whole_foreground
from diffusionad.data.known import DATA_SETS, DataSet
from diffusionad.data.layouts import Reading, describe_layouts, find_samples, layout_trees, recognise
from diffusionad.data.manifest import table_rows
from diffusionad.data.pictures import (
    BACKGROUND,
    MAX_PIXELS,
    MIN_SIDE,
    Stored,
    is_mask_empty,
    picture_size,
    read_mask,
    read_mask_levels,
    read_picture,
    read_stored,
)
from diffusionad.data.resize import pooled, resize, resize_map, resize_mask
from diffusionad.data.tiles import Tiles, Tiling, cut_mask, cut_tile

__all__ = [
    "BACKGROUND",
    "DATA_SETS",
    "MAX_PIXELS",
    "MIN_SIDE",
    "DataSet",
    "Foreground",
    "Framing",
    "Reading",
    "Stored",
    "Tiles",
    "Tiling",
    "View",
    "cut_mask",
    "cut_tile",
    "describe_layouts",
    "find_defects",
    "find_foreground",
    "find_pictures",
    "find_samples",
    "foreground_from_folder",
    "is_mask_empty",
    "layout_trees",
    "picture_size",
    "pooled",
    "read_mask",
    "read_mask_levels",
    "read_picture",
    "read_stored",
    "recognise",
    "resize",
    "resize_map",
    "resize_mask",
    "table_rows",
    "whole_foreground",
]
