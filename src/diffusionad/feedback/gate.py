"""The gate: whether a candidate may take the place of the bundle in use. Pure functions of counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["SURE", "Counts", "Decision", "decide", "lower_bound"]

SURE = 0.95
"""Certainty of the recall's lower bound; 1 - SURE is the chance at which false alarms contradict the promise."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a bundle says of the frozen set.

    Attributes:
        found, defects: defective pictures not called good, of how many.
        alarms, good: good pictures called anomalous, of those drawn without looking.
        picked_alarms, picked: the same of those an operator picked, mostly because they had been called anomalous.
    """

    found: int
    defects: int
    alarms: int
    good: int
    picked_alarms: int = 0
    picked: int = 0

    @property
    def recall_bound(self) -> float:
        """The recall is at least this, with certainty `SURE` (Clopper and Pearson 1934); 0 without defects."""
        return lower_bound(self.found, self.defects, SURE) if self.defects else 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate is promoted, and a sentence for each rule."""

    promote: bool
    reasons: tuple[str, ...]


def decide(old: Counts, new: Counts, promised: float | None) -> Decision:
    """Three rules, all of which must hold.

    1. The lower bound of the recall does not fall, and there are defects to see it on.
    2. False alarms among good pictures drawn without looking do not contradict what the candidate promises: so many or
       more would come in at least 1 - SURE of all cases if the promise held. Without a promise: not more than before.
    3. Of the good pictures an operator picked, not more than before are called anomalous. The promise does not speak of
       them, for they were picked for being hard.

    Args:
        old, new: of the bundle in use and of the candidate, on the same pictures.
        promised: share of good pictures the candidate may call anomalous; None: it promises nothing.
    """
    if not old.defects:
        return Decision(False, ("The frozen set holds no defect, so nobody can see whether any would be missed.",))
    rules = [
        (
            new.recall_bound >= old.recall_bound,
            f"Defects found: {new.found} of {new.defects}, before {old.found}; the recall is at least "
            f"{new.recall_bound:.3f} ({SURE:.0%} sure), before {old.recall_bound:.3f}.",
        )
    ]
    alarms = f"False alarms: {new.alarms} of {new.good} good pictures, before {old.alarms}"
    if promised is None:
        rules.append((new.alarms <= old.alarms, f"{alarms}; nothing is promised, so there may not be more."))
    else:
        chance = _at_least(new.alarms, new.good, promised)
        rules.append(
            (
                chance >= 1 - SURE,
                f"{alarms}; with the promise of {promised:.4f} that many has a chance of {chance:.3f}.",
            )
        )
    if new.picked:
        rules.append(
            (
                new.picked_alarms <= old.picked_alarms,
                f"Good pictures that operators picked: {new.picked_alarms} of {new.picked} called anomalous, "
                f"before {old.picked_alarms}.",
            )
        )
    return Decision(
        all(holds for holds, _ in rules), tuple(("kept: " if holds else "BROKEN: ") + said for holds, said in rules)
    )


def lower_bound(hits: int, of: int, sure: float) -> float:
    """The rate under which `hits` or more of `of` have a chance of exactly 1 - sure; 0 without hits."""
    low, high = 0.0, 1.0
    if not hits:
        return low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_least(hits, of, middle) < 1 - sure else (low, middle)
    return low


def _at_least(hits: int, of: int, rate: float) -> float:
    """Chance of `hits` or more in `of` trials of chance `rate`."""
    if hits <= 0 or rate >= 1:
        return 1.0
    if rate <= 0:
        return 0.0
    whole, up, down = math.lgamma(of + 1), math.log(rate), math.log1p(-rate)
    return min(
        1.0,
        math.fsum(
            math.exp(whole - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * up + (of - k) * down)
            for k in range(hits, of + 1)
        ),
    )
