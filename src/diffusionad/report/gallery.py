"""The pictures of a report, encoded as they come, so that memory stays bounded however large the test set is."""

from __future__ import annotations

import heapq
import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from diffusionad.report.pictures import encode, heat_layer, outline_layer
from diffusionad.structures import GOOD, Judgement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.report.page import Card
    from diffusionad.structures import Region

__all__ = ["Gallery", "Mistake", "Row", "Tile", "data_uri"]

_Kept = TypeVar("_Kept")
_Rank: TypeAlias = tuple[bool, float, int]
"""(is a mistake, minus the distance, minus the number): higher is more telling."""

Mistake = Literal["missed defect", "false alarm"]

BYTES = 8_000_000
"""Of the encoded pictures of all tiles together; as base64 in the page they take a third more."""
MAX_SIDE = 512
QUALITIES = (86, 70, 45)
FOUND, TRUE = (255, 255, 255), (0, 229, 255)

THUMBNAILS = 2000
THUMBNAIL_SIDE = 96
THUMBNAIL_BYTES = 2400
"""At most, of each; all thumbnails together take 6.4 MB in the page at worst."""
ROWS = 5000
"""Pictures that are listed one by one."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The pictures of a card as data URIs; layers are None where there is nothing to draw."""

    size: tuple[int, int]
    picture: str
    reconstruction: str
    heat: str
    found_outline: str | None
    true_outline: str | None
    neighbour: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A card ready for the page, with all its pictures, a thumbnail or neither."""

    path: str
    defect: str
    verdict: Judgement
    score: float
    p_value: float | None
    mistake: Mistake | None
    distance: float
    regions: tuple[Region, ...]
    neighbour: str | None
    thumbnail: str | None = None
    tile: Tile | None = None


class Gallery:
    """Keeps all pictures of the `limit` most telling cards, thumbnails of 2,000 and a line of 5,000.

    Most telling are misses and false alarms, then those nearest to the threshold.

    Args:
        limit: most cards kept with all their pictures.
        threshold: the image score threshold of the bundle; None ranks by score, highest first.
        map_threshold: map value above which pixels are outlined; None draws no outline of what was found.
    """

    def __init__(self, limit: int = 60, *, threshold: float | None, map_threshold: float | None = None) -> None:
        if limit < 1:
            raise ValueError(f"A gallery keeps at least one card, not {limit}.")
        self.limit = limit
        self.threshold = threshold
        self.map_threshold = map_threshold
        self.seen = 0
        self._rows: list[tuple[_Rank, Row]] = []
        self._thumbnails: list[tuple[_Rank, str]] = []
        self._tiles: list[tuple[_Rank, Tile]] = []

    def add(self, card: Card) -> None:
        """Encode and keep the card, or what there is room for. The arrays are not kept."""
        self.seen += 1
        mistake, distance = mistake_of(card), self._distance(card.score)
        rank = (mistake is not None, -distance, -self.seen)
        if _fits(self._rows, ROWS, rank):
            neighbour = card.neighbour[0] if card.neighbour else None
            row = Row(
                *(card.path, card.defect, card.verdict, card.score, card.p_value, mistake, distance),
                regions=tuple(card.regions[:3]),
                neighbour=neighbour,
            )
            _keep(self._rows, ROWS, rank, row)
        if _fits(self._thumbnails, THUMBNAILS, rank):
            _keep(self._thumbnails, THUMBNAILS, rank, _thumbnail(card))
        if _fits(self._tiles, self.limit, rank):
            _keep(self._tiles, self.limit, rank, self._encode(card))

    def rows(self) -> list[Row]:
        """What was kept, nearest to the threshold first."""
        thumbnails, tiles = dict(self._thumbnails), dict(self._tiles)
        ordered = sorted(self._rows, key=lambda entry: (-entry[0][1], -entry[0][2]))
        return [
            replace(row, thumbnail=None if rank in tiles else thumbnails.get(rank), tile=tiles.get(rank))
            for rank, row in ordered
        ]

    def _distance(self, score: float) -> float:
        if not math.isfinite(score):
            return 2.0
        return 1 - score if self.threshold is None else abs(score - self.threshold)

    def _encode(self, card: Card) -> Tile:
        room = BYTES // self.limit // 4
        found = None if self.map_threshold is None else card.anomaly_map > np.float64(self.map_threshold)
        height, width = card.picture.shape[:2]
        return Tile(
            size=(width, height),
            picture=data_uri(card.picture, room),
            reconstruction=data_uri(card.reconstruction, room),
            heat=data_uri(heat_layer(card.anomaly_map), room),
            found_outline=_outline_uri(found, FOUND, room // 2),
            true_outline=_outline_uri(card.true_mask, TRUE, room // 2),
            neighbour=data_uri(card.neighbour[1], THUMBNAIL_BYTES) if card.neighbour else None,
        )


def _fits(heap: Sequence[tuple[_Rank, _Kept]], limit: int, rank: _Rank) -> bool:
    return len(heap) < limit or heap[0][0] < rank


def _keep(heap: list[tuple[_Rank, _Kept]], limit: int, rank: _Rank, kept: _Kept) -> None:
    """Ranks are all different, so that what they rank is never compared."""
    if len(heap) < limit:
        heapq.heappush(heap, (rank, kept))
    else:
        heapq.heapreplace(heap, (rank, kept))


def mistake_of(card: Card) -> Mistake | None:
    """A defective part taken for good, or a good part taken for anomalous; review is neither."""
    if card.defect == GOOD:
        return "false alarm" if card.verdict == "anomalous" else None
    return "missed defect" if card.verdict == "good" else None


def data_uri(picture: NDArray[np.uint8], room: int) -> str:
    """A picture as webp inside a data URI, of at most `room` bytes before base64: coarser first, then smaller."""
    side = min(MAX_SIDE, max(picture.shape[:2]))
    while True:
        shrunk = _shrink(picture, side)
        for quality in QUALITIES:
            content = encode(shrunk, "webp", quality)
            if len(content) <= room or side <= 16:
                return "data:image/webp;base64," + b64encode(content).decode("ascii")
        side //= 2


def _thumbnail(card: Card) -> str:
    """The picture under its heat map, small."""
    picture, layer = _shrink(card.picture, THUMBNAIL_SIDE), _shrink(heat_layer(card.anomaly_map), THUMBNAIL_SIDE)
    if layer.shape[:2] != picture.shape[:2]:
        layer = np.asarray(Image.fromarray(layer).resize((picture.shape[1], picture.shape[0])))
    opacity = layer[..., 3:] / 255
    return data_uri(np.rint(picture * (1 - opacity) + layer[..., :3] * opacity).astype(np.uint8), THUMBNAIL_BYTES)


def _outline_uri(inside: NDArray[np.bool_] | None, colour: tuple[int, int, int], room: int) -> str | None:
    return None if inside is None or not inside.any() else data_uri(outline_layer(inside, colour), room)


def _shrink(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
