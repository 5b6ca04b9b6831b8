"""Two methods that learn next to nothing: what does not clearly beat them has learned nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusionad.benchmark.methods import Settings
from diffusionad.structures import FloatMap

__all__ = ["Nearest", "ZScore"]

Thumbnail = NDArray[np.float64]


class Nearest:
    """Distance to the most similar training picture, all at 32 x 32; the map is the difference from it."""

    SIDE = 32

    def __init__(self, settings: Settings) -> None:
        self._out = settings.out

    def fit(self, pictures: Sequence[Path]) -> None:
        self._known = np.stack([_thumbnail(path, self.SIDE) for path in pictures])
        np.save(self._out / "known.npy", self._known)

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        apart = self._known - _thumbnail(path, self.SIDE)
        nearest = np.square(apart).sum(axis=(1, 2, 3)).argmin()
        score = np.sqrt(np.square(apart[nearest]).sum())
        return float(score), np.abs(apart[nearest]).mean(axis=-1).astype(np.float32)


class ZScore:
    """How many standard deviations each pixel lies from its mean over training pictures, at 64 x 64.

    The score is the mean of the highest hundredth of the map.
    """

    SIDE, LEAST, HIGHEST = 64, 2.0, 0.01

    def __init__(self, settings: Settings) -> None:
        self._out = settings.out

    def fit(self, pictures: Sequence[Path]) -> None:
        known = np.stack([_thumbnail(path, self.SIDE) for path in pictures])
        self._mean, self._spread = known.mean(axis=0), known.std(axis=0).clip(min=self.LEAST)
        np.save(self._out / "statistics.npy", np.stack([self._mean, self._spread]))

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        odd = np.abs((_thumbnail(path, self.SIDE) - self._mean) / self._spread).mean(axis=-1)
        highest = np.sort(odd.ravel())[-max(1, round(self.HIGHEST * odd.size)) :]
        return float(highest.mean()), odd.astype(np.float32)


def _thumbnail(path: Path, side: int) -> Thumbnail:
    """[side, side, 3] of 0..255."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR), np.float64)
