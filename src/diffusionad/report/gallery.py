"""The pictures of a report, encoded as they come, so that memory stays bounded however large the test set is."""

from __future__ import annotations

import heapq
import math
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from diffusionad.report.pictures import encode, heat_layer, outline_layer
from diffusionad.structures import GOOD, Judgement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.report.page import Card

__all__ = ["Gallery", "Mistake", "Tile", "data_uri"]

Mistake = Literal["missed defect", "false alarm"]

BYTES = 12_000_000
"""Of all encoded pictures together; as base64 in the page they take a third more."""
MAX_SIDE = 512
QUALITIES = (86, 70, 45)
FOUND, TRUE = (255, 255, 255), (0, 229, 255)


@dataclass(frozen=True, slots=True)
class Tile:
    """A card ready for the page: its pictures are data URIs, its layers None where there is nothing to draw."""

    path: str
    defect: str
    verdict: Judgement
    score: float
    p_value: float | None
    mistake: Mistake | None
    distance: float
    size: tuple[int, int]
    picture: str
    reconstruction: str
    heat: str
    found_outline: str | None
    true_outline: str | None


class Gallery:
    """Keeps the `limit` most telling cards: misses and false alarms first, then those nearest to the threshold.

    Args:
        limit: most cards kept.
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
        self._heap: list[tuple[bool, float, int, Tile]] = []

    def add(self, card: Card) -> None:
        """Encode and keep the card, or drop it when `limit` more telling ones are here. The arrays are not kept."""
        self.seen += 1
        mistake, distance = mistake_of(card), self._distance(card.score)
        rank = (mistake is not None, -distance, -self.seen)
        if len(self._heap) >= self.limit and self._heap[0][:3] > rank:
            return
        entry = (*rank, self._encode(card, mistake, distance))
        if len(self._heap) < self.limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    def tiles(self) -> list[Tile]:
        """What was kept, nearest to the threshold first."""
        return [tile for *_, tile in sorted(self._heap, key=lambda entry: (-entry[1], -entry[2]))]

    def _distance(self, score: float) -> float:
        if not math.isfinite(score):
            return 2.0
        return 1 - score if self.threshold is None else abs(score - self.threshold)

    def _encode(self, card: Card, mistake: Mistake | None, distance: float) -> Tile:
        room = BYTES // self.limit // 4
        found = None if self.map_threshold is None else card.anomaly_map > np.float64(self.map_threshold)
        height, width = card.picture.shape[:2]
        return Tile(
            path=card.path,
            defect=card.defect,
            verdict=card.verdict,
            score=card.score,
            p_value=card.p_value,
            mistake=mistake,
            distance=distance,
            size=(width, height),
            picture=data_uri(card.picture, room),
            reconstruction=data_uri(card.reconstruction, room),
            heat=data_uri(heat_layer(card.anomaly_map), room),
            found_outline=_outline_uri(found, FOUND, room // 2),
            true_outline=_outline_uri(card.true_mask, TRUE, room // 2),
        )


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


def _outline_uri(inside: NDArray[np.bool_] | None, colour: tuple[int, int, int], room: int) -> str | None:
    return None if inside is None or not inside.any() else data_uri(outline_layer(inside, colour), room)


def _shrink(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
