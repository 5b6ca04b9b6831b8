"""A large picture judged tile by tile: its map passes row by row, and only what a person needs of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.data import Tiling, View, cut_tile, pooled
from diffusionad.scoring import RegionFinder, RunningScore, top_k_inside
from diffusionad.structures import Outcome
from diffusionad.tensors import to_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionad.structures import BoolMap, FloatMap, Image, Picture, Region

__all__ = ["MAP_SIDE", "MOST_REGIONS", "Sweep", "map_factor", "sweep"]

MAP_SIDE = 1024
"""Longest side of the map and the reconstruction that are kept of a tiled picture, in pixels."""

MOST_REGIONS = 1000
"""Regions kept of a tiled picture, those of highest peak; how many more there were is told."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a tiled picture comes to.

    Attributes:
        outcome: score of the whole picture from every pixel; map and reconstruction as `sweep` was asked to keep them.
        regions: above the threshold, in native pixels, at most `MOST_REGIONS`.
        regions_left_out: how many more there were.
    """

    outcome: Outcome
    regions: tuple[Region, ...]
    regions_left_out: int


def map_factor(size: tuple[int, int]) -> int:
    """How many pixels (down and across) of a map of `size` (H, W) become one of the map that is kept."""
    return -(-max(size) // MAP_SIDE)


def sweep(
    network: Callable[[Image], tuple[FloatMap, Image]],
    picture: Picture,
    view: View,
    tiling: Tiling,
    *,
    top_k: int,
    least: bool,
    threshold: float | None,
    full_map: bool,
) -> Sweep:
    """Judge all tiles of a picture, one at a time in a fixed order, and blend what is found.

    Memory: the picture, one row of tiles, and the map that is kept.

    Args:
        network: image [C, H, W] -> (anomaly map [H, W], reconstruction [C, H, W]).
        picture: [H, W, C] at the scale of the tiles (`view.picture`).
        view: how it is seen.
        tiling: its tiles.
        top_k, least: how the highest pixels make the score (`scoring.image_score`).
        threshold: map value above which regions are found; None: no regions.
        full_map: keep the whole map, [H, W] of `view.working`. Else it is at most `MAP_SIDE` pixels long: each of its
            pixels is the highest of the block it stands for, so that nothing small vanishes.

    Raises:
        PictureError: the networks' answer is not finite.
    """
    judged, size = view.judged, view.working
    score = RunningScore(top_k_inside(min(top_k, size[0] * size[1]), judged), least)
    finder = None if threshold is None else RegionFinder(threshold, size, view.native, MOST_REGIONS)
    shown, colours = _Kept(size, 1 if full_map else map_factor(size)), _Kept(size, map_factor(size), picture.shape[2])
    for first, rows in tiling.blended(_answers(network, picture, tiling, judged)):
        values = rows[0] if judged is None else np.where(judged[first : first + rows.shape[1]], rows[0], np.float32(0))
        score.add(values)
        if finder is not None:
            finder.add(values)
        shown.add(values[None], first, np.maximum)
        colours.add(rows[1:], first, np.add)
    outcome = Outcome(score.score(), shown.values[0], colours.values / colours.covered)
    return Sweep(outcome, finder.regions() if finder else (), finder.left_out if finder else 0)


class _Kept:
    """[C, h, w] float32: each pixel stands for `factor` x `factor` of a map of `size`, gathered row by row."""

    def __init__(self, size: tuple[int, int], factor: int, channels: int = 1) -> None:
        self._factor = factor
        sides = [np.minimum(factor, length - np.arange(0, length, factor)).astype(np.float32) for length in size]
        self.covered: FloatMap = sides[0][:, None] * sides[1][None, :]  # pixels in each block
        self.values: Image = np.zeros((channels, *self.covered.shape), np.float32)

    def add(self, rows: Image, first: int, combine: np.ufunc) -> None:
        block = pooled(rows, self._factor, combine, first)
        begin = first // self._factor
        part = self.values[:, begin : begin + block.shape[1]]
        combine(part, block, out=part)


def _answers(
    network: Callable[[Image], tuple[FloatMap, Image]], picture: Picture, tiling: Tiling, judged: BoolMap | None
) -> Iterator[Image]:
    """[1 + C, H, W] of each tile: its map and its reconstruction. Nobody is asked about a tile that is not judged."""
    for corner in tiling.corners():
        image, seen = to_image(cut_tile(picture, corner, tiling.tile)), tiling.judged(corner, judged)
        if seen is not None and not seen.any():
            yield np.concatenate([np.zeros((1, *tiling.tile), np.float32), image])
            continue
        anomaly_map, reconstruction = network(image)
        yield np.concatenate([anomaly_map[None], reconstruction])
