"""How much noise a step means, worked out without torch: presets state noise by sigma (METHOD: unit trap)."""

from __future__ import annotations

import math
from functools import lru_cache

__all__ = ["on_unit_images", "sigma_of", "step_of"]


def sigma_of(t: int) -> float:
    """Noise-to-signal ratio sqrt((1 - ab) / ab) at step t of the paper's schedule: linear, 1e-4 to 2e-2, 1000 steps."""
    return _sigmas()[t]


def step_of(sigma: float) -> int:
    """The step of the paper's schedule whose sigma is nearest."""
    return min(range(len(_sigmas())), key=lambda t: abs(_sigmas()[t] - sigma))


def on_unit_images(t: int) -> int:
    """The step that disturbs images in [-1, 1] as much as step t disturbs images in [0, 1]: that of twice the sigma."""
    return step_of(2 * sigma_of(t))


@lru_cache(maxsize=1)
def _sigmas() -> tuple[float, ...]:
    left, sigmas = 0.0, []
    for step in range(1000):
        left += math.log1p(-(1e-4 + (2e-2 - 1e-4) * step / 999))
        sigmas.append(math.sqrt(math.expm1(-left)))
    return tuple(sigmas)
