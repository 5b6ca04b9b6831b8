"""Large pictures in overlapping tiles: where the tiles lie, and how their maps become one without seams.

A tile weighs nothing at its edges and rises over the overlap as a raised cosine. At every place the weights of all
tiles that cover it are divided by their sum, so they add up to one: equal maps stay equal, and what depends on the
place alone comes back as it was. Sizes are (H, W) in pixels of the picture at the scale of its tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, Image, Picture

__all__ = ["MOST_OVERLAP", "Corner", "Tiles", "Tiling", "cut_mask", "cut_tile"]

MOST_OVERLAP = 0.5
"""Largest share of its side that a tile shares with the next: more costs time and smooths nothing further."""

Corner = tuple[int, int]
"""(top, left) of a tile; negative where the picture is smaller than the tile."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of one size over a picture, evenly spread: the first at its top left corner, the last at its bottom right.

    Args:
        size: (H, W) of the picture.
        tile: (H, W) of a tile. A smaller picture lies in the middle of one tile; its edges are repeated around it.
        overlap: share of a tile's side that the next one shares at least, 0..0.5.

    Raises:
        UsageError: a side below 1, or an overlap outside 0..0.5.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    overlap: float

    def __post_init__(self) -> None:
        if min(*self.size, *self.tile) < 1 or not 0 <= self.overlap <= MOST_OVERLAP:
            raise UsageError(
                f"Tiles need sides of at least 1 and an overlap of 0 to {MOST_OVERLAP}, "
                f"not {self.tile} on {self.size} and {self.overlap}."
            )

    @property
    def rows(self) -> list[int]:
        """First row of each row of tiles, rising."""
        return _starts(self.size[0], self.tile[0], self.overlap)

    @property
    def columns(self) -> list[int]:
        """First column of each column of tiles, rising."""
        return _starts(self.size[1], self.tile[1], self.overlap)

    def corners(self) -> list[Corner]:
        """Of all tiles, row by row as a reader goes."""
        return [(top, left) for top in self.rows for left in self.columns]

    def judged(self, corner: Corner, judged: BoolMap | None = None) -> BoolMap | None:
        """Where a tile is judged, [H, W] bool: inside the picture and `judged` ([H, W] of it); None: everywhere."""
        if judged is None and self.tile[0] <= self.size[0] and self.tile[1] <= self.size[1]:
            return None
        inside = [
            (start + np.arange(side) >= 0) & (start + np.arange(side) < length)
            for start, side, length in zip(corner, self.tile, self.size, strict=True)
        ]
        seen: BoolMap = inside[0][:, None] & inside[1][None, :]
        return seen if judged is None else seen & cut_tile(judged, corner, self.tile)

    def blended(self, maps: Iterable[Image]) -> Iterator[tuple[int, Image]]:
        """One map of the whole picture from those of its tiles, as (first row, [C, rows, W] float32), top to bottom.

        Memory: one row of tiles, whatever the height of the picture.

        Args:
            maps: [C, H, W] float32 of each tile, in the order of `corners`; taken one at a time.
        """
        columns, down, across = self.columns, _weights(self, 0), _weights(self, 1)
        source, held, first = iter(maps), None, 0
        following = [*self.rows[1:], self.size[0]]
        for top, end, weight in zip(self.rows, following, down, strict=True):
            for left, share in zip(columns, across, strict=True):
                values = next(source)
                if held is None:
                    # float64: rounded once at the end, the blend of equal values is that value to the bit
                    held = np.zeros((len(values), self.tile[0], self.size[1]))
                begin, over = max(0, left), max(0, -left)
                width = min(self.tile[1], self.size[1])
                shared = weight[None, :, None] * share[None, None, over : over + width]
                held[:, :, begin : begin + width] += shared * values[:, :, over : over + width]
            assert held is not None  # noqa: S101  (there is at least one column)
            skip = max(0, -top)
            done = end - first
            yield first, held[:, skip : skip + done].astype(np.float32)
            kept = held[:, done : self.tile[0]].copy()
            held = np.concatenate([kept, np.zeros((len(held), self.tile[0] - kept.shape[1], self.size[1]))], axis=1)
            first = end


class Tiles(Sequence["Picture"]):
    """All tiles of pictures, cut when they are asked for; where judging cuts them.

    Args:
        pictures: [H, W, C] each, at the scale of the tiles; any sizes.
        tile, overlap: as `Tiling`.
    """

    def __init__(self, pictures: Sequence[Picture], tile: tuple[int, int], overlap: float) -> None:
        self._pictures, self._tile = pictures, tile
        self._places = [
            (index, corner)
            for index, picture in enumerate(pictures)
            for corner in Tiling((picture.shape[0], picture.shape[1]), tile, overlap).corners()
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        """The tile at an index, [H, W, C]."""
        index, corner = self._places[place]
        return cut_tile(self._pictures[index], corner, self._tile)


def cut_tile(values: NDArray[Any], corner: Corner, tile: tuple[int, int]) -> NDArray[Any]:
    """The part [h, w, ...] of [H, W, ...] at `corner`, of the `tile`'s size; edges are repeated where it sticks out."""
    (top, left), (height, width) = corner, tile
    if top >= 0 and left >= 0 and top + height <= values.shape[0] and left + width <= values.shape[1]:
        return np.ascontiguousarray(values[top : top + height, left : left + width])
    rows = np.clip(top + np.arange(height), 0, values.shape[0] - 1)
    columns = np.clip(left + np.arange(width), 0, values.shape[1] - 1)
    return values[rows[:, None], columns[None, :]]


def cut_mask(mask: BoolMap, size: tuple[int, int], corner: Corner, tile: tuple[int, int]) -> BoolMap:
    """The same part of a mask that shows a picture of `size` at another resolution, by its nearest pixels."""
    places = [
        np.clip((start + np.arange(side) + 0.5) / length * there, 0, there - 1).astype(np.intp)
        for start, side, length, there in zip(corner, tile, size, mask.shape, strict=True)
    ]
    shown: BoolMap = mask[places[0][:, None], places[1][None, :]]
    return shown


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [(length - side) // 2]
    count = math.ceil((length - side) / max(1, side - round(overlap * side))) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _weights(tiling: Tiling, axis: int) -> NDArray[np.float64]:
    """Weight of each tile at each of its own pixels along an axis, [tiles, side]: at every place they add up to one."""
    length, side = tiling.size[axis], tiling.tile[axis]
    starts = tiling.rows if axis == 0 else tiling.columns
    reach = max(1, round(tiling.overlap * side))
    to_edge = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    hill = np.sin(np.pi / 2 * np.minimum(1, to_edge / reach)) ** 2
    total = np.zeros(length)
    inside = [(max(0, start), min(length, start + side)) for start in starts]
    for start, (begin, end) in zip(starts, inside, strict=True):
        total[begin:end] += hill[begin - start : end - start]
    weights = np.zeros((len(starts), side))
    for number, (start, (begin, end)) in enumerate(zip(starts, inside, strict=True)):
        weights[number, begin - start : end - start] = hill[begin - start : end - start] / total[begin:end]
    return weights
