"""A region of interest: the part of every picture of a product that is judged, drawn once by the user.

A file of one of two kinds:

    picture    non-zero is judged (`read_mask`); it has the size of the pictures
    JSON       {"units": "pixels" or "fractions", "polygons": [[[x, y], [x, y], [x, y], ...], ...],
                "holes": [...], "size": [width, height]}

x runs to the right and y down from the top left corner, in native pixels or as shares 0..1 of the picture's sides.
A pixel is inside a polygon when its centre is, by the even-odd rule. What is inside any polygon and inside no hole is
judged. `holes` may be left out. `size`, only with pixels and optional, is the size of the pictures it was drawn on.
"""

from __future__ import annotations

import json
import math
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from diffusionad.data.masks import read_mask
from diffusionad.data.pictures import picture_size
from diffusionad.errors import DataError, PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap

__all__ = ["inside_polygon", "mask_png", "read_roi", "read_roi_mask", "roi_at"]

_KEYS = {"units", "polygons", "holes", "size"}
_LARGEST = 1_000_000
"""Bytes of a JSON file: polygons drawn by hand take a few hundred."""


def read_roi(path: Path, size: tuple[int, int]) -> BoolMap:
    """The region of interest of pictures of `size` (H, W), [H, W] bool with at least one True.

    Raises:
        DataError: the file cannot be read, is empty or marks nothing, has another size, or a point lies outside.
    """
    if path.suffix.lower() == ".json":
        inside = _drawn(_parsed(path), path, size)
    else:
        try:
            inside = read_mask(path, size)
        except DataError as error:
            code = "data.roi_size" if error.code == "data.mask_size" else "data.roi"
            raise DataError(f"The region of interest cannot be used. {error}", code=code) from error
    if not inside.any():
        raise _wrong(path, "marks no pixel, so nothing would be judged; draw the part to judge or leave it out")
    return inside


def read_roi_mask(path: Path) -> BoolMap:
    """A region of interest that `mask_png` wrote, [H, W] bool at its own size. Raises as `read_roi`."""
    try:
        return read_roi(path, picture_size(path))
    except PictureError as error:
        raise DataError(f"The region of interest cannot be read. {error}", code="data.roi") from error


def mask_png(mask: BoolMap) -> bytes:
    """A mask [H, W] bool as the content of a PNG file of 1 bit a pixel; white is True."""
    stream = BytesIO()
    Pillow.fromarray(mask).save(stream, format="png")
    return stream.getvalue()


def roi_at(roi: BoolMap, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> BoolMap:
    """The region at another size (H, W), or the part of it in `box` (x, y, width, height) of its pixels.

    A pixel is inside when half of it is; when none is, those with the largest share are.
    """
    if box is None and roi.shape == size:
        return roi
    x, y, width, height = box or (0, 0, roi.shape[1], roi.shape[0])
    shares = Pillow.fromarray(roi.astype(np.float32)).resize(
        size[::-1], Pillow.Resampling.BOX, box=(x, y, x + width, y + height)
    )
    covered = np.asarray(shares, dtype=np.float32)
    inside: BoolMap = covered >= min(0.5, float(covered.max())) if covered.any() else covered > 0
    return inside


def inside_polygon(corners: NDArray[np.float64], size: tuple[int, int]) -> BoolMap:
    """Pixels whose centre lies inside a polygon, [H, W] bool; even-odd, so a crossing outline leaves holes.

    Args:
        corners: [N, 2] float64, x and y in pixels; the last is joined to the first.
        size: (H, W) in pixels.
    """
    flips = np.zeros((size[0], size[1] + 1), dtype=np.uint8)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first, last = sorted((y0, y1))
        # rows whose centre y + 0.5 lies in [first, last)
        rows = np.arange(max(0, math.ceil(first - 0.5)), min(size[0], math.ceil(last - 0.5)))
        if not len(rows):
            continue
        crossings = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        flips[rows, np.clip(np.ceil(crossings - 0.5), 0, size[1]).astype(np.intp)] ^= 1
    inside: BoolMap = np.cumsum(flips[:, :-1], axis=1, dtype=np.uint8) % 2 == 1  # wraps at 256, which is even
    return inside


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _wrong(path, f"cannot be read ({error.strerror}); check the path") from error
    if not content.strip() or len(content) > _LARGEST:
        raise _wrong(path, f"has {len(content)} bytes; 1 to {_LARGEST} are expected of polygons")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "is not JSON; write units and polygons as the documentation shows") from error
    if not isinstance(found, dict) or not {"units", "polygons"} <= set(found) <= _KEYS:
        raise _wrong(path, "must be an object with units and polygons, and nothing else but holes and size")
    return found


def _drawn(found: dict[str, Any], path: Path, size: tuple[int, int]) -> BoolMap:
    if found["units"] not in ("pixels", "fractions"):
        raise _wrong(path, f'has the units {found["units"]!r}; they are "pixels" or "fractions"')
    in_pixels, drawn_on = found["units"] == "pixels", found.get("size")
    if drawn_on is not None and (not in_pixels or drawn_on != [size[1], size[0]]):
        raise DataError(
            f"The region of interest {str(path)!r} was drawn on pictures of {drawn_on} pixels (width, height), but "
            f"these are {size[1]} x {size[0]}; draw it on one of them, or in fractions without a size.",
            code="data.roi_size",
        )
    limits = np.array([size[1], size[0]] if in_pixels else [1, 1], dtype=np.float64)
    inside = np.zeros(size, dtype=np.bool_)
    for name, value in (("polygons", True), ("holes", False)):
        shapes = found.get(name, [])
        if not isinstance(shapes, list) or (value and not shapes):
            raise _wrong(path, f"has {name} that are not a list of polygons with at least one")
        for number, shape in enumerate(shapes, 1):
            corners = _corners(shape, f"number {number} of its {name}", limits, path)
            inside[inside_polygon(corners / limits * (size[1], size[0]), size)] = value
    return inside


def _corners(shape: Any, name: str, limits: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """[N, 2] float64, checked."""
    if not isinstance(shape, list) or len(shape) < 3:
        raise _wrong(path, f"{name} is not a list of at least three points [x, y]")
    for point in shape:
        if not isinstance(point, list) or len(point) != 2 or not all(type(value) in (int, float) for value in point):
            raise _wrong(path, f"{name} has the point {str(point)[:60]}, which is not [x, y] in numbers")
        if not all(0 <= value <= limit for value, limit in zip(point, limits, strict=True)):
            raise _wrong(path, f"{name} has the point {point} outside the picture, 0..{limits[0]:g} x 0..{limits[1]:g}")
    return np.array(shape, dtype=np.float64)


def _wrong(path: Path, what: str) -> DataError:
    return DataError(f"The region of interest {str(path)!r} {what}.", code="data.roi")
