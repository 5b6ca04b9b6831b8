"""From files on disk to arrays: reading, fitting, finding samples, finding the object."""

from __future__ import annotations

from diffusionad.data.defects import find_defects
from diffusionad.data.finding import find_pictures
from diffusionad.data.fit import Framing, View
from diffusionad.data.foreground import Foregrounds, find_foregrounds
from diffusionad.data.known import DATA_SETS, DataSet
from diffusionad.data.layouts import Reading, describe_layouts, find_samples, layout_trees, recognise
from diffusionad.data.manifest import table_rows
from diffusionad.data.masks import is_mask_empty, read_mask, read_mask_levels
from diffusionad.data.pictures import (
    BACKGROUND,
    MAX_PIXELS,
    MIN_SIDE,
    REDUCTIONS,
    Reduced,
    Stored,
    picture_size,
    read_picture,
    read_reduced,
    read_stored,
)
from diffusionad.data.recorded import By, day_in, labels
from diffusionad.data.resize import pooled, resize, resize_map, resize_mask
from diffusionad.data.roi import inside_polygon, read_roi, roi_at
from diffusionad.data.seeing import Seen, see
from diffusionad.data.tiles import Tiles, Tiling, cut_mask, cut_tile

__all__ = [
    "BACKGROUND",
    "DATA_SETS",
    "MAX_PIXELS",
    "MIN_SIDE",
    "REDUCTIONS",
    "By",
    "DataSet",
    "Foregrounds",
    "Framing",
    "Reading",
    "Reduced",
    "Seen",
    "Stored",
    "Tiles",
    "Tiling",
    "View",
    "cut_mask",
    "cut_tile",
    "day_in",
    "describe_layouts",
    "find_defects",
    "find_foregrounds",
    "find_pictures",
    "find_samples",
    "inside_polygon",
    "is_mask_empty",
    "labels",
    "layout_trees",
    "picture_size",
    "pooled",
    "read_mask",
    "read_mask_levels",
    "read_picture",
    "read_reduced",
    "read_roi",
    "read_stored",
    "recognise",
    "resize",
    "resize_map",
    "resize_mask",
    "roi_at",
    "see",
    "table_rows",
]
