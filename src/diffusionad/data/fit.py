"""How a picture becomes the working size, and how what is found there goes back to native pixels. The one place for it.

    stretch   the whole picture, its aspect given up (the paper's)
    pad       the whole picture, its aspect kept; the rest is filled by repeating the edges and never judged
    crop      the largest centred part of the working aspect; what lies outside is never judged
    tile      all of it in overlapping tiles (`tiles.py`), each brought to the working size: small things can be seen

Boxes are (x, y, width, height) in pixels, x to the right and y down from the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from diffusionad.data.resize import resize, resize_map, resize_mask
from diffusionad.data.tiles import Tiling
from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap, Picture

__all__ = ["Fit", "Framing", "View"]

Fit: TypeAlias = Literal["stretch", "pad", "crop", "tile"]

Box: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a picture lies where at working size.

    Attributes:
        native: (H, W) of the picture in pixels.
        working: (H, W) of the working size in pixels; with tiles, of the whole picture at their scale.
        source: box of the picture that is seen, in native pixels.
        target: box that shows it, in working pixels.
    """

    native: tuple[int, int]
    working: tuple[int, int]
    source: Box
    target: Box

    @property
    def source_size(self) -> tuple[int, int]:
        """(H, W) of what is seen, in native pixels."""
        return self.source[3], self.source[2]

    @property
    def judged(self) -> BoolMap | None:
        """[H, W] bool at working size, True where the picture is judged; None when that is everywhere."""
        if self.target == (0, 0, self.working[1], self.working[0]):
            return None
        inside = np.zeros(self.working, dtype=np.bool_)
        _cut(inside, self.target)[...] = True
        return inside

    @property
    def judged_share(self) -> float:
        """Share of the native picture that is judged, above 0 and at most 1."""
        return self.source[2] * self.source[3] / (self.native[0] * self.native[1])

    def picture(self, picture: Picture) -> Picture:
        """The picture at working size, [H, W, 3] of its dtype; itself when nothing has to change.

        Raises:
            UsageError: `picture` is not [H, W, 3] of uint8 or uint16 at the native size.
        """
        self._check(picture.shape[:2])
        seen = picture if self.source_size == self.native else np.ascontiguousarray(_cut(picture, self.source))
        x, y, width, height = self.target
        small = resize(seen, (height, width))
        if (height, width) == self.working:
            return small
        rows = np.clip(np.arange(self.working[0]) - y, 0, height - 1)
        columns = np.clip(np.arange(self.working[1]) - x, 0, width - 1)
        return small[rows[:, None], columns[None, :]]

    def mask(self, mask: BoolMap) -> BoolMap:
        """A native mask [H, W] bool at working size; what is seen keeps its area (`resize_mask`), padding is False.

        Raises:
            UsageError: the mask is not [H, W] at the native size.
        """
        self._check(mask.shape)
        _, _, width, height = self.target
        small = resize_mask(_cut(mask, self.source), (height, width))
        if (height, width) == self.working:
            return small
        placed = np.zeros(self.working, dtype=np.bool_)
        _cut(placed, self.target)[...] = small
        return placed

    def silenced(self, anomaly_map: FloatMap) -> FloatMap:
        """A map [H, W] float32 at working size with 0 wherever nothing is judged; itself when all is."""
        judged = self.judged
        return anomaly_map if judged is None else np.where(judged, anomaly_map, np.float32(0))

    def shown(self, anomaly_map: FloatMap) -> FloatMap:
        """The part of a map [H, W] at working size that shows the picture: it covers the box `source`."""
        return _cut(anomaly_map, self.target)

    def to_native(self, anomaly_map: FloatMap) -> FloatMap:
        """A map [H, W] float32 at working size, bilinear at native size; 0 where the picture is not seen."""
        grown = resize_map(self.shown(anomaly_map), self.source_size)
        if self.source_size == self.native:
            return grown
        placed = np.zeros(self.native, dtype=np.float32)
        _cut(placed, self.source)[...] = grown
        return placed

    def box_to_native(self, box: Box) -> Box:
        """A box in native pixels from the corner of `source`, as a box of the whole picture."""
        return (box[0] + self.source[0], box[1] + self.source[1], box[2], box[3])

    def _check(self, size: tuple[int, ...]) -> None:
        if size != self.native:
            raise UsageError(f"This view is of pictures of {self.native} (H, W) pixels, not of {size}.")


@dataclass(frozen=True, slots=True)
class Framing:
    """How all pictures of a product are brought to the working size.

    Args:
        fit: stretch, pad, crop or tile.
        size: working size (H, W) in pixels.
        tile: (H, W) of a tile in native pixels; None: the working size, so that nothing is resized.
        overlap: share of a tile's side that it shares with the next at least.
    """

    fit: Fit
    size: tuple[int, int]
    tile: tuple[int, int] | None = None
    overlap: float = 0.25

    def view(self, native: tuple[int, int]) -> View:
        """The view of a picture of `native` (H, W) pixels. Its numbers depend on both sizes alone.

        Raises:
            UsageError: a side below 1.
        """
        if min(*native, *self.size) < 1:
            raise UsageError(f"A size is (height, width) of at least 1 pixel each, not {native} and {self.size}.")
        whole, frame = (0, 0, native[1], native[0]), (0, 0, self.size[1], self.size[0])
        if self.fit == "pad":
            return View(native, self.size, whole, _centred(native, self.size))
        if self.fit == "crop":
            return View(native, self.size, _centred(self.size, native), frame)
        if self.fit == "tile":
            tile = self.tile or self.size
            scaled = [max(1, round(side * ours / its)) for side, ours, its in zip(native, self.size, tile, strict=True)]
            return View(native, (scaled[0], scaled[1]), whole, (0, 0, scaled[1], scaled[0]))
        return View(native, self.size, whole, frame)

    def tiling(self, view: View) -> Tiling | None:
        """The tiles of a picture as `view` shows it; None where it is one working size."""
        return Tiling(view.working, self.size, self.overlap) if self.fit == "tile" else None


def _centred(aspect: tuple[int, int], room: tuple[int, int]) -> Box:
    """The largest box of the aspect (H, W) in the middle of a room of (H, W) pixels, to the nearest pixel."""
    (tall, wide), (height, width) = aspect, room
    if tall * width >= wide * height:  # taller than the room: all of its height
        side = max(1, round(height * wide / tall))
        return ((width - side) // 2, 0, side, height)
    side = max(1, round(width * tall / wide))
    return (0, (height - side) // 2, width, side)


def _cut(values: NDArray[Any], box: Box) -> NDArray[Any]:
    x, y, width, height = box
    return values[y : y + height, x : x + width]
