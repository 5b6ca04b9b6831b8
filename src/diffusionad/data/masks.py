"""Masks: true masks of defects, foregrounds and regions of interest, from a file to booleans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.data.pictures import MAX_PIXELS, load_pixels, named, opened
from diffusionad.errors import DataError, PictureError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from diffusionad.structures import BoolMap, FloatMap

__all__ = ["is_mask_empty", "read_mask", "read_mask_levels"]

_MAX_LABELS = 8  # a mask with more grey levels than this has soft edges, not labels


def read_mask(path: Path, size: tuple[int, int], *, picture: Path | None = None) -> BoolMap:
    """Read a true mask, [H, W] bool. Palette index, bit or grey level above 0 is anomalous.

    A mask of more than eight grey levels has soft or compressed edges; there a pixel needs half of the mask's maximum.
    Of a colour mask the strongest channel counts, and fully transparent pixels are normal.

    Args:
        path: the mask's file.
        size: (H, W) of the picture it belongs to, in pixels.
        picture: the picture's file, for the message only.

    Raises:
        DataError: the mask cannot be read, or its size is not `size`.
    """
    try:
        with opened(path, MAX_PIXELS) as mask:
            found = (mask.height, mask.width)
            if found != size:
                raise DataError(
                    f"The mask {named(path)} is {found[1]} x {found[0]} pixels (width x height), but its picture "
                    f"{named(picture) if picture else 'beside it'} is {size[1]} x {size[0]}; "
                    "save the mask at the picture's size.",
                    code="data.mask_size",
                )
            levels = _mask_levels(mask, path)
    except PictureError as error:
        raise DataError(f"A mask cannot be read. {error}", code="data.mask") from error
    if len(np.unique(levels)) <= _MAX_LABELS:
        return levels > 0
    return levels >= float(levels.max()) / 2


def is_mask_empty(path: Path) -> bool:
    """Whether a mask marks nothing: every palette index, bit or grey level is 0.

    Raises:
        DataError: the mask cannot be read.
    """
    try:
        with opened(path, MAX_PIXELS) as mask:
            return not _mask_levels(mask, path).any()
    except PictureError as error:
        raise DataError(f"A mask cannot be read. {error}", code="data.mask") from error


def read_mask_levels(path: Path) -> FloatMap:
    """A mask as stored, [H, W] float32 in the file's own units: its strongest channel. Raises as `read_picture`."""
    with opened(path, MAX_PIXELS) as mask:
        return _mask_levels(mask, path)


def _mask_levels(mask: ImageFile, path: Path) -> FloatMap:
    """The strongest channel of a mask file, [H, W] float32 in the file's own units; what lies below 0 counts as 0."""
    load_pixels(mask, path)
    levels = np.asarray(mask).astype(np.float32)
    if mask.mode in ("LA", "RGBA"):
        levels = levels[..., :-1] * (levels[..., -1:] > 0)
    if not np.isfinite(levels).all():  # half of a maximum that is no number would mark nothing
        raise PictureError(
            f"{named(path)} holds NaN or infinite values; save it as 8-bit grey.", code="picture.nonfinite"
        )
    return np.maximum(levels.max(axis=2) if levels.ndim == 3 else levels, 0)
