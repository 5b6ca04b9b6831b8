"""Whether pictures of different sessions come about alike: what every promise rests on.

A session is a day, a shift, a camera. Scores within one session resemble each other, so a threshold from one afternoon
can fail the next morning. Two checks: every session judged by a threshold from all the others, and a permutation test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.calibration.shares import false_alarms_allowed
from diffusionad.errors import CalibrationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Held", "exchangeable", "hold_out_each"]

_SHUFFLES = 1999


@dataclass(frozen=True, slots=True)
class Held:
    """One session judged by a threshold that was made from all the others.

    Attributes:
        session: its name.
        pictures: how many good pictures it has.
        false_alarms: how many of them were called anomalous.
    """

    session: str
    pictures: int
    false_alarms: int

    @property
    def share(self) -> float:
        return self.false_alarms / self.pictures


def hold_out_each(
    scores: Sequence[float], sessions: Sequence[str], false_alarms: float, sure: float | None = None
) -> tuple[Held, ...]:
    """Leave one session out: each judged by a threshold from the others, the worst first.

    Args:
        scores: of good pictures.
        sessions: the session of each, in the same order.
        false_alarms, sure: as in `calibrate`. Where the others are too few for it, the threshold
            is their largest score.

    Returns:
        One for each session; () with fewer than two.
    """
    counts = Counter(sessions)
    if len(counts) < 2:
        return ()
    held, allowed = [], dict[int, int]()  # the binomial law takes longer than the rest
    for name, count in counts.items():
        others = sorted(score for score, session in zip(scores, sessions, strict=True) if session != name)
        if len(others) not in allowed:
            allowed[len(others)] = max(1, false_alarms_allowed(len(others), false_alarms, sure))
        threshold = others[-allowed[len(others)]]
        alarms = sum(score > threshold for score, one in zip(scores, sessions, strict=True) if one == name)
        held.append(Held(name, count, alarms))
    return tuple(sorted(held, key=lambda one: (-one.share, one.session)))


def exchangeable(scores: Sequence[float], labels: Sequence[str], seed: int = 0) -> float:
    """p-value of "the labels say nothing about the scores": small when the parts were taken differently.

    Permutation test with 1,999 shuffles of the labels. Statistic: the largest difference of the distribution functions
    of one part and all others (Kolmogorov-Smirnov), times sqrt(m (n - m) / n) for a part of m of n, over all parts.
    Exact for any distribution, ties included: (1 + shuffles at least as extreme) / 2000.

    Args:
        scores: all scores, in any order.
        labels: the part (session, data set) that each belongs to; two parts at least.
        seed: decides the shuffles.

    Raises:
        CalibrationError: fewer than two parts, or not a label for each score.
    """
    names = sorted(set(labels))
    if len(names) < 2 or len(labels) != len(scores):
        raise CalibrationError(f"A comparison needs two parts at least and a label for each score; found {len(names)}.")
    order = np.argsort(np.asarray(scores, dtype=np.float64), kind="stable")
    rising = np.asarray(scores, dtype=np.float64)[order]
    last = np.flatnonzero(np.append(rising[1:] != rising[:-1], True))  # ends of ties: the functions jump only there
    numbers = np.searchsorted(names, np.asarray(labels))[order]
    rng = np.random.default_rng(seed)
    found = _distance(numbers, len(names), last)
    extreme = sum(_distance(rng.permutation(numbers), len(names), last) >= found - 1e-12 for _ in range(_SHUFFLES))
    return (1 + extreme) / (1 + _SHUFFLES)


def _distance(numbers: NDArray[np.intp], parts: int, last: NDArray[np.intp]) -> float:
    n, ranks, worst = len(numbers), last + 1, 0.0
    for part in range(parts):
        inside = np.cumsum(numbers == part)
        m = int(inside[-1])
        gap = np.abs(inside[last] / m - (ranks - inside[last]) / (n - m)).max()
        worst = max(worst, float(gap) * (m * (n - m) / n) ** 0.5)
    return worst
