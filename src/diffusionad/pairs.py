"""Training batches: normal samples and the same kind of pictures with a defect planted, by (seed, place) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusionad.data import Tiling, cut_mask, cut_tile
from diffusionad.rng import Draw, Stream, generator, normal
from diffusionad.structures import BoolMap, Image, Picture
from diffusionad.synthesis import RealDefect, Synthesizer, paste
from diffusionad.tensors import logarithmic as on_logarithmic_scale
from diffusionad.tensors import shrunk, shrunk_mask, to_image

__all__ = ["Batch", "PairMaker"]

TRIES = 8
"""Places tried for a tile that shows enough of the object to plant a defect on."""

ENOUGH_OBJECT = 1 / 16
"""Share of a tile that is."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step sees; B samples, synthetic ones evenly spread.

    Attributes:
        image: [B, C, H, W] float32 in [-1, 1], with defects where planted.
        clean: [B, C, H, W] the same without the defects.
        true_mask: [B, 1, H, W] bool; nothing is marked where nobody drew it.
        is_normal: [B] bool.
        is_clean_known: [B, 1, H, W] bool, False where nobody knows what the pixel would be without its real defect.
        is_outlined: [B] bool, False for real defective pictures without a mask.
        noise: [2, B, C, H, W] the noise (fine, coarse) to disturb them with.
        time: [2, B] float64 in 0..1, where in the range of steps (fine, coarse) each sample is disturbed.
        indices: [B] which training pictures they are; -1, -2 ... are the real defective ones, in order.
        judged: [H, W] bool each, where a sample is judged; None: everywhere.
    """

    image: NDArray[np.float32]
    clean: NDArray[np.float32]
    true_mask: NDArray[np.bool_]
    is_normal: NDArray[np.bool_]
    is_clean_known: NDArray[np.bool_]
    is_outlined: NDArray[np.bool_]
    noise: NDArray[np.float32]
    time: NDArray[np.float64]
    indices: NDArray[np.intp]
    judged: tuple[BoolMap | None, ...] = ()


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One sample of a batch, without the batch's axis."""

    image: Image
    clean: Image
    true_mask: BoolMap
    judged: BoolMap | None = None
    real: RealDefect | None = None

    @property
    def is_normal(self) -> bool:
        return self.real is None and not self.true_mask.any()

    @property
    def is_outlined(self) -> bool:
        return self.real is None or self.real.true_mask is not None

    @property
    def is_clean_known(self) -> BoolMap:
        if self.real is None:
            return np.ones_like(self.true_mask)
        return ~self.true_mask if self.is_outlined else np.zeros_like(self.true_mask)


class PairMaker:
    """Draws batches from normal pictures, and from the few real defective ones there may be.

    Args:
        pictures: normal pictures at working size, HWC uint8 or uint16; of any size where tiles are cut of them.
        foregrounds: [H, W] bool each, or None for textures; of any resolution where tiles are cut.
        synthesizer: plants the defects.
        seed: with the place in the run, decides everything drawn.
        anomalous_share: share of synthetic samples.
        shift, light: how much a picture is moved and relit, as shares.
        stream: "pair" for training, "validation" for the held-out set.
        judged: [H, W] bool for each picture, where defects may lie, which does not move with it; None: everywhere.
        real: defective pictures at the size of the samples. Without them the other draws are the same as before.
        shown_share: share of the anomalous samples that are the pictures of `real`.
        pasted_share: share of the anomalous samples into which one of `real` that has a mask is pasted.
        draw: draws the noise.
        tile: (H, W) of what is cut at drawn places; None: pictures are taken whole.
        shrink: samples are so many times smaller a side than what is cut or taken, real defects with them.
        logarithmic: samples have their brightness on a logarithmic scale, and defects are planted on it.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        foregrounds: Sequence[BoolMap | None],
        synthesizer: Synthesizer,
        *,
        seed: int,
        anomalous_share: float,
        shift: float = 0.0,
        light: float = 0.0,
        stream: Stream = "pair",
        judged: Sequence[BoolMap | None] | None = None,
        real: Sequence[RealDefect] = (),
        shown_share: float = 0.0,
        pasted_share: float = 0.0,
        draw: Draw = normal,
        tile: tuple[int, int] | None = None,
        shrink: int = 1,
        logarithmic: bool = False,
    ) -> None:
        self._shrink, self._logarithmic = shrink, logarithmic
        real = [RealDefect(self._seen(it.image), self._smaller(it.true_mask)) for it in real]
        self._real, self._shown_share = real, shown_share if real else 0.0
        self._outlined = [(defect.image, defect.true_mask) for defect in real if defect.true_mask is not None]
        planted = 1 - self._shown_share
        self._pasted_share = pasted_share / planted if self._outlined and planted > 0 else 0.0
        self._pictures, self._foregrounds, self._synthesizer = pictures, foregrounds, synthesizer
        self._seed, self._share, self._shift, self._light, self._stream = seed, anomalous_share, shift, light, stream
        self._draw = draw
        self._judged = judged if judged is not None else [None] * len(pictures)
        self._tile = tile

    def batch(self, start: int, count: int) -> Batch:
        """Samples start .. start + count of the endless sequence that the seed defines."""
        places = range(start, start + count)
        indices = np.array([self._index_at(place) for place in places], dtype=np.intp)
        samples = [self._sample(place, int(index)) for place, index in zip(places, indices, strict=True)]
        shape = samples[0].image.shape
        draws = [generator(self._seed, "noise", place) for place in places]
        return Batch(
            image=np.stack([sample.image for sample in samples]),
            clean=np.stack([sample.clean for sample in samples]),
            true_mask=np.stack([sample.true_mask for sample in samples])[:, None],
            is_normal=np.array([sample.is_normal for sample in samples]),
            is_clean_known=np.stack([sample.is_clean_known for sample in samples])[:, None],
            is_outlined=np.array([sample.is_outlined for sample in samples]),
            time=np.stack([rng.random(2) for rng in draws], axis=1),
            noise=np.stack([self._draw(rng, 2, *shape) for rng in draws], axis=1),
            indices=indices,
            judged=tuple(sample.judged for sample in samples),
        )

    def _index_at(self, place: int) -> int:
        """A normal picture, 0 and up, or a real defective one, -1 and down."""
        anomalous = int(place * self._share)
        if self._is_synthetic(place) and _is_due(anomalous, self._shown_share):
            shown = int(anomalous * self._shown_share)
            return -1 - self._in_turn("real", shown, len(self._real))
        return self._in_turn("order", place, len(self._pictures))

    def _in_turn(self, stream: Stream, place: int, count: int) -> int:
        """Each of `count` once a round, in an order drawn anew for each round."""
        turn, position = divmod(place, count)
        return int(generator(self._seed, stream, turn).permutation(count)[position])

    def _is_synthetic(self, place: int) -> bool:
        """Spread evenly: with a share of one half, every other sample."""
        return _is_due(place, self._share)

    def _sample(self, place: int, index: int) -> _Drawn:
        rng, plants = generator(self._seed, self._stream, place), self._is_synthetic(place)
        if index < 0:
            return self._shown(rng, self._real[-1 - index])
        picture, foreground, judged = self._pictures[index], self._foregrounds[index], self._judged[index]
        if self._tile is not None:
            picture, foreground, judged = _cut(rng, picture, foreground, judged, self._tile, TRIES if plants else 1)
        image, foreground, judged = self._seen(to_image(picture)), self._smaller(foreground), self._smaller(judged)
        clean, foreground = self._vary(rng, image, foreground)
        if not plants:
            return _Drawn(clean, clean, np.zeros(clean.shape[1:], dtype=np.bool_), judged)
        if self._pasted_share and rng.random() < self._pasted_share:
            image, true_mask = paste(rng, clean, _part(clean, foreground, judged), self._outlined)
            return _Drawn(image, clean, true_mask, judged)
        pair = self._synthesizer.plant(rng, clean, foreground, judged)
        return _Drawn(pair.image, clean, pair.true_mask, judged)

    def _seen(self, image: Image) -> Image:
        """As the networks see it."""
        smaller = shrunk(image, self._shrink) if self._shrink > 1 else image
        return on_logarithmic_scale(smaller) if self._logarithmic else smaller

    def _smaller(self, mask: BoolMap | None) -> BoolMap | None:
        return mask if mask is None or self._shrink == 1 else shrunk_mask(mask, self._shrink)

    def _shown(self, rng: np.random.Generator, defect: RealDefect) -> _Drawn:
        image, true_mask = self._vary(rng, defect.image, defect.true_mask)
        blank = np.zeros(image.shape[1:], np.bool_)
        return _Drawn(image, image, blank if true_mask is None else true_mask, real=defect)

    def _vary(self, rng: np.random.Generator, image: Image, foreground: BoolMap | None) -> tuple[Image, BoolMap | None]:
        """Move and relight a picture a little, its foreground with it; edges are repeated."""
        rows, columns = (_moved(rng, side, self._shift) for side in image.shape[1:])
        gain, offset = 1 + rng.uniform(-1, 1) * self._light, rng.uniform(-1, 1) * self._light
        varied = image[:, rows[:, None], columns[None, :]] * np.float32(gain) + np.float32(offset)
        moved = None if foreground is None else foreground[rows[:, None], columns[None, :]]
        return np.clip(varied, -1, 1, out=varied), moved


def _part(clean: Image, foreground: BoolMap | None, judged: BoolMap | None) -> BoolMap:
    """Where something may be pasted. What is judged comes first: a foreground outside of it counts for nothing."""
    part = np.ones(clean.shape[1:], dtype=np.bool_)
    for smaller in (judged, foreground):
        if smaller is not None and (part & smaller).any():
            part &= smaller
    return part


def _is_due(place: int, share: float) -> bool:
    """Whether the one at `place` is among the `share` of all that are chosen, spread evenly."""
    return int((place + 1) * share) > int(place * share)


def _moved(rng: np.random.Generator, side: int, share: float) -> NDArray[np.intp]:
    reach = round(share * side)
    by = int(rng.integers(-reach, reach + 1))
    return np.clip(np.arange(side) + by, 0, side - 1)


def _cut(
    rng: np.random.Generator,
    picture: Picture,
    foreground: BoolMap | None,
    judged: BoolMap | None,
    tile: tuple[int, int],
    tries: int,
) -> tuple[Picture, BoolMap | None, BoolMap | None]:
    """A tile at a drawn place, with its part of the masks; drawn again, `tries` times in all, until some of it counts.

    Corners are drawn half a tile beyond the edges and moved inside, so edges are seen as often as the middle.
    """
    size = (picture.shape[0], picture.shape[1])
    tiling = Tiling(size, tile, 0.0)
    for _ in range(tries):
        drawn = [
            min(max(0, int(rng.integers(-side // 2, length - side // 2 + 1))), length - side)
            if length > side
            else (length - side) // 2
            for length, side in zip(size, tile, strict=True)
        ]
        corner = (drawn[0], drawn[1])
        part = None if foreground is None else cut_mask(foreground, size, corner, tile)
        seen = tiling.judged(corner, judged)
        if (part is None or part.mean() > ENOUGH_OBJECT) and (seen is None or seen.any()):
            break
    if judged is not None and seen is not None and not seen.any():  # a small region of interest: there, by chance
        corner = _around(rng, judged, tile)
        part = None if foreground is None else cut_mask(foreground, size, corner, tile)
        seen = tiling.judged(corner, judged)
    # beside the object a defect may be anything: there it is planted as in a texture
    return cut_tile(picture, corner, tile), part if part is None or part.any() else None, seen


def _around(rng: np.random.Generator, judged: BoolMap, tile: tuple[int, int]) -> tuple[int, int]:
    """The corner of a tile that shows a drawn pixel of `judged`, as far in its middle as the picture allows."""
    row, column = divmod(int(rng.choice(np.flatnonzero(judged))), judged.shape[1])
    top, left = (
        min(max(0, place - side // 2), length - side) if length > side else (length - side) // 2
        for place, length, side in zip((row, column), judged.shape, tile, strict=True)
    )
    return top, left
