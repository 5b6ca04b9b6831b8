"""Chance is an argument: every draw comes from a named stream of a seed, so that any draw can be repeated alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draw", "Stream", "fixed_noise", "generator", "normal"]

Stream = Literal["split", "order", "pair", "noise", "validation", "inference", "weights", "planted", "real"]

Draw = Callable[..., NDArray[np.float32]]
"""(rng, *shape) -> noise of zero mean and unit variance, float32; `normal` is one."""

_STREAMS: dict[Stream, int] = {
    "split": 1,
    "order": 2,
    "pair": 3,
    "noise": 4,
    "validation": 5,
    "inference": 6,
    "weights": 7,
    "planted": 8,
    "real": 9,
}


def generator(seed: int, stream: Stream, *place: int) -> np.random.Generator:
    """The generator of one place in one stream, for instance ("pair", images_seen): the same on every machine."""
    return np.random.Generator(np.random.PCG64([seed, _STREAMS[stream], *place]))


def normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Gaussian noise of unit variance, float32."""
    return rng.standard_normal(shape, dtype=np.float32)


def fixed_noise(
    seed: int, channels: int, size: tuple[int, int], draw: int = 0, *, count: int = 2, make: Draw = normal
) -> NDArray[np.float32]:
    """The noise of inference, [count, C, H, W]: fixed by (seed, size), so that a picture keeps its score.

    Draws from 1 on are others, to see how much a score depends on it.
    """
    return make(generator(seed, "inference", *size, *([draw] if draw else [])), count, channels, *size)
