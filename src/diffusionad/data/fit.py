"""How a picture becomes the working size, and how what is found there goes back to native pixels. The one place for it.

    stretch   the whole picture, its aspect given up (the paper's)
    pad       the whole picture, its aspect kept; the rest is filled by repeating the edges and never judged
    crop      the largest centred part of the working aspect; what lies outside is never judged
    tile      all of it in overlapping tiles (`tiles.py`), each brought to the working size: small things can be seen

A region of interest (`roi.py`) may be laid over all of them: outside of it nothing is judged either.

Boxes are (x, y, width, height) in pixels, x to the right and y down from the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from diffusionad.data.pictures import REDUCTIONS
from diffusionad.data.resize import resize, resize_map, resize_mask
from diffusionad.data.roi import roi_at
from diffusionad.data.tiles import Tiling
from diffusionad.errors import PictureError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap, Picture

__all__ = ["SPARE", "Fit", "Framing", "View"]

Fit: TypeAlias = Literal["stretch", "pad", "crop", "tile"]

Box: TypeAlias = tuple[int, int, int, int]

SPARE = 2
"""A JPEG is decoded at no less than this many times the working size: below, the two ways visibly differ."""

_SIZES = 16
"""Native sizes of pictures whose views are remembered."""


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a picture lies where at working size.

    Attributes:
        native: (H, W) of the picture in pixels.
        working: (H, W) of the working size in pixels; with tiles, of the whole picture at their scale.
        source: box of the picture that is seen, in native pixels.
        target: box that shows it, in working pixels.
        roi: [h, w] bool over the whole picture, the region of interest at the size it was drawn; None: everything.
        inside: [H, W] bool at the size of `target`, the same where the picture is shown.
    """

    native: tuple[int, int]
    working: tuple[int, int]
    source: Box
    target: Box
    roi: BoolMap | None = field(default=None, repr=False, compare=False)
    inside: BoolMap | None = field(default=None, repr=False, compare=False)

    @property
    def source_size(self) -> tuple[int, int]:
        """(H, W) of what is seen, in native pixels."""
        return self.source[3], self.source[2]

    @property
    def judged(self) -> BoolMap | None:
        """[H, W] bool at working size, True where the picture is judged; None when that is everywhere."""
        if self.target == (0, 0, self.working[1], self.working[0]):
            return self.inside
        judged = np.zeros(self.working, dtype=np.bool_)
        _cut(judged, self.target)[...] = True if self.inside is None else self.inside
        return judged

    @property
    def judged_native(self) -> BoolMap | None:
        """[H, W] bool at native size, True where the picture is judged; None when that is everywhere."""
        if self.roi is None and self.source_size == self.native:
            return None
        judged = np.zeros(self.native, dtype=np.bool_)
        _cut(judged, self.source)[...] = True if self.roi is None else _cut(roi_at(self.roi, self.native), self.source)
        return judged

    @property
    def judged_box(self) -> Box:
        """The smallest box round all that is judged, in native pixels."""
        if self.inside is None:
            return self.source
        x, y, width, height = self.source
        rows, columns = np.flatnonzero(self.inside.any(axis=1)), np.flatnonzero(self.inside.any(axis=0))
        tall, wide = self.inside.shape
        left, top = int(columns[0]) * width // wide, int(rows[0]) * height // tall
        right, bottom = -(-int(columns[-1] + 1) * width // wide), -(-int(rows[-1] + 1) * height // tall)
        return (x + left, y + top, right - left, bottom - top)

    @property
    def judged_share(self) -> float:
        """Share of the native picture that is judged, above 0 and at most 1; a region of interest at working size."""
        seen = self.source[2] * self.source[3] / (self.native[0] * self.native[1])
        return seen if self.inside is None else seen * float(self.inside.mean())

    def picture(self, picture: Picture) -> Picture:
        """The picture at working size, [H, W, 3] of its dtype; itself when nothing has to change.

        Args:
            picture: [H, W, 3] of uint8 or uint16 at the native size, or reduced (`pictures.REDUCTIONS`).

        Raises:
            UsageError: `picture` is something else.
        """
        part = self._part_of((picture.shape[0], picture.shape[1]))
        x, y, width, height = self.target
        if part == 1:
            whole = self.source_size == self.native
            small = resize(picture if whole else np.ascontiguousarray(_cut(picture, self.source)), (height, width))
        else:  # the last pixels of a reduced picture may stick out, so the box ends between pixels
            seen, box = _between(picture, self.source, part)
            small = resize(seen, (height, width), box)
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

    @property
    def enough(self) -> tuple[int, int]:
        """(H, W) of a whole picture that shows what is seen at `SPARE` times the working size, in pixels."""
        (_, _, width, height), (_, _, wide, tall) = self.source, self.target
        return -(-SPARE * tall * self.native[0] // height), -(-SPARE * wide * self.native[1] // width)

    def _part_of(self, size: tuple[int, int]) -> int:
        """By what the sides of a picture of `size` were divided when it was decoded; 1: by nothing."""
        for part in REDUCTIONS:
            if size == (-(-self.native[0] // part), -(-self.native[1] // part)) != self.native:
                return part
        self._check(size)
        return 1

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
        roi: [h, w] bool, the region of interest on a whole picture; None: everything is judged.
    """

    fit: Fit
    size: tuple[int, int]
    tile: tuple[int, int] | None = None
    overlap: float = 0.25
    roi: BoolMap | None = field(default=None, repr=False, compare=False)
    _known: dict[tuple[int, int], View] = field(default_factory=dict, init=False, repr=False, compare=False)

    def view(self, native: tuple[int, int]) -> View:
        """The view of a picture of `native` (H, W) pixels. Its numbers depend on both sizes and the region alone.

        Raises:
            UsageError: a side below 1.
            PictureError: the region of interest was drawn on pictures of another aspect, or none of it is seen.
        """
        if self.roi is None:
            return self._bare(native)
        if native not in self._known:
            if len(self._known) > _SIZES:
                self._known.clear()
            self._known[native] = _confined(self._bare(native), self.roi)
        return self._known[native]

    def _bare(self, native: tuple[int, int]) -> View:
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


def _confined(view: View, roi: BoolMap) -> View:
    """The same view with a region of interest."""
    (height, width), (tall, wide) = view.native, roi.shape
    if max(abs(height * wide - width * tall) / wide, abs(height * wide - width * tall) / tall) > 1:
        raise PictureError(
            f"The picture is {width} x {height} pixels (width x height), but the region of interest was drawn on "
            f"{wide} x {tall}, another aspect; record it as the training pictures were.",
            code="picture.roi",
        )
    x, y, seen_width, seen_height = view.source
    across, down = wide / width, tall / height
    box = (x * across, y * down, seen_width * across, seen_height * down)
    inside = roi_at(roi, (view.target[3], view.target[2]), None if view.source_size == view.native else box)
    if not inside.any():
        raise PictureError(
            "Nothing of the region of interest is seen: it lies where data.fit=crop cuts the picture off. "
            "Train with data.fit=pad or stretch.",
            code="picture.roi",
        )
    return replace(view, roi=roi, inside=inside)


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


def _between(reduced: Picture, box: Box, part: int) -> tuple[Picture, tuple[float, float, float, float]]:
    """The pixels of a reduced picture that show a native box, and where in them it begins and ends."""
    x, y, width, height = box
    left, top = x // part, y // part
    cut = _cut(reduced, (left, top, -(-(x + width) // part) - left, -(-(y + height) // part) - top))
    begin_x, begin_y = x / part - left, y / part - top
    return np.ascontiguousarray(cut), (begin_x, begin_y, begin_x + width / part, begin_y + height / part)
