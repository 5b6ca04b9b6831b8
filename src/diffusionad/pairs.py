"""Training batches: normal samples and the same kind of pictures with a defect planted, by (seed, place) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusionad.rng import Draw, Stream, generator, normal
from diffusionad.structures import BoolMap, Image, Picture
from diffusionad.synthesis import Synthesizer
from diffusionad.tensors import to_image

__all__ = ["Batch", "PairMaker"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step sees; B samples, synthetic ones evenly spread.

    Attributes:
        image: [B, C, H, W] float32 in [-1, 1], with defects where planted.
        clean: [B, C, H, W] the same without the defects.
        true_mask: [B, 1, H, W] bool.
        is_normal: [B] bool.
        noise: [2, B, C, H, W] the noise (fine, coarse) to disturb them with.
        time: [2, B] float64 in 0..1, where in the range of steps (fine, coarse) each sample is disturbed.
        indices: [B] which training pictures they are.
    """

    image: NDArray[np.float32]
    clean: NDArray[np.float32]
    true_mask: NDArray[np.bool_]
    is_normal: NDArray[np.bool_]
    noise: NDArray[np.float32]
    time: NDArray[np.float64]
    indices: NDArray[np.intp]


class PairMaker:
    """Draws batches from normal pictures.

    Args:
        pictures: normal pictures at working size, HWC uint8 or uint16.
        foregrounds: [H, W] bool each, or None for textures.
        synthesizer: plants the defects.
        seed: with the place in the run, decides everything drawn.
        anomalous_share: share of synthetic samples.
        shift, light: how much a picture is moved and relit, as shares.
        stream: "pair" for training, "validation" for the held-out set.
        judged: [H, W] bool for each picture, where defects may lie, which does not move with it; None: everywhere.
        draw: draws the noise.
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
        draw: Draw = normal,
    ) -> None:
        self._pictures, self._foregrounds, self._synthesizer = pictures, foregrounds, synthesizer
        self._seed, self._share, self._shift, self._light, self._stream = seed, anomalous_share, shift, light, stream
        self._draw = draw
        self._judged = judged if judged is not None else [None] * len(pictures)

    def batch(self, start: int, count: int) -> Batch:
        """Samples start .. start + count of the endless sequence that the seed defines."""
        indices = np.array([self._picture_at(place) for place in range(start, start + count)], dtype=np.intp)
        samples = [
            self._sample(place, index) for place, index in zip(range(start, start + count), indices, strict=True)
        ]
        shape = samples[0][0].shape
        draws = [generator(self._seed, "noise", place) for place in range(start, start + count)]
        return Batch(
            image=np.stack([sample[0] for sample in samples]),
            clean=np.stack([sample[1] for sample in samples]),
            true_mask=np.stack([sample[2] for sample in samples])[:, None],
            is_normal=np.array([not sample[2].any() for sample in samples]),
            time=np.stack([rng.random(2) for rng in draws], axis=1),
            noise=np.stack([self._draw(rng, 2, *shape) for rng in draws], axis=1),
            indices=indices,
        )

    def _picture_at(self, place: int) -> int:
        """Every picture once a round, in an order drawn anew for each round."""
        turn, position = divmod(place, len(self._pictures))
        return int(generator(self._seed, "order", turn).permutation(len(self._pictures))[position])

    def _is_synthetic(self, place: int) -> bool:
        """Spread evenly: with a share of one half, every other sample."""
        return int((place + 1) * self._share) > int(place * self._share)

    def _sample(self, place: int, index: int) -> tuple[Image, Image, BoolMap]:
        rng = generator(self._seed, self._stream, place)
        clean, foreground = self._vary(rng, to_image(self._pictures[index]), self._foregrounds[index])
        if not self._is_synthetic(place):
            return clean, clean, np.zeros(clean.shape[1:], dtype=np.bool_)
        pair = self._synthesizer.plant(rng, clean, foreground, self._judged[index])
        return pair.image, clean, pair.true_mask

    def _vary(self, rng: np.random.Generator, image: Image, foreground: BoolMap | None) -> tuple[Image, BoolMap | None]:
        """Move and relight a picture a little, its foreground with it; edges are repeated."""
        rows, columns = (_moved(rng, side, self._shift) for side in image.shape[1:])
        gain, offset = 1 + rng.uniform(-1, 1) * self._light, rng.uniform(-1, 1) * self._light
        varied = image[:, rows[:, None], columns[None, :]] * np.float32(gain) + np.float32(offset)
        moved = None if foreground is None else foreground[rows[:, None], columns[None, :]]
        return np.clip(varied, -1, 1, out=varied), moved


def _moved(rng: np.random.Generator, side: int, share: float) -> NDArray[np.intp]:
    reach = round(share * side)
    by = int(rng.integers(-reach, reach + 1))
    return np.clip(np.arange(side) + by, 0, side - 1)
