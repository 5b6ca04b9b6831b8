"""The lower threshold: from it up to the threshold a picture goes to a person instead of being called good.

From real defects by learn-then-test (Angelopoulos, Bates, Candes, Jordan and Lei, Annals of Applied Statistics 2025).
The share of escapes rises with the threshold, so testing thresholds one after the other from below is valid, and the
last one that passes its exact binomial test is an order statistic of the defects' scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diffusionad.calibration.shares import (
    false_alarms_allowed,
    in_words,
    percent,
    pictures_needed,
    promised_share,
)
from diffusionad.errors import CalibrationError

__all__ = ["MIN_DEFECTS", "Lower", "lower_threshold"]

MIN_DEFECTS = 30
"""With fewer real defects nothing is promised about escapes."""

Source = Literal["defects", "planted"]


@dataclass(frozen=True, slots=True)
class Lower:
    """A picture whose score is strictly below `threshold`, and not above the upper one, is good; else a person looks.

    Attributes:
        source: "defects", real ones, or "planted", synthetic ones: these promise nothing.
        requested: share of defective pictures that may be called good, as asked for, 0..1.
        sure: certainty of the promise, 0..1.
        promised: the share that holds with that certainty; None: not a guarantee.
        n: defective pictures there were.
        threshold: one of their scores.
        scores: [n] rising, their image scores.
    """

    source: Source
    requested: float
    sure: float
    promised: float | None
    n: int
    threshold: float
    scores: tuple[float, ...]

    def sentence(self) -> str:
        """What the lower threshold promises, in plain words."""
        if self.promised is None:
            return (
                f"The lower threshold comes from {self.n} planted defects: NOT A GUARANTEE about real ones. For one, "
                f"give {max(MIN_DEFECTS, pictures_needed(self.requested, self.sure))} pictures of real defects."
            )
        return (
            f"The lower threshold comes from {self.n} real defects: {percent(self.sure)} sure that at most "
            f"{in_words(self.promised)} defective pictures is called good, as long as new defects are like these."
        )


def lower_threshold(scores: Sequence[float], escapes: float, sure: float = 0.9, source: Source = "defects") -> Lower:
    """The highest lower threshold under which at most a share `escapes` of defective pictures is called good.

    The a-th smallest score, with the largest a for which P(Binomial(n, escapes) <= a - 1) <= 1 - sure: by symmetry the
    count of `false_alarms_allowed`.

    Args:
        scores: image scores of defective pictures that the network was not trained on, in any order.
        escapes: the share, strictly between 0 and 1.
        sure: certainty over draws of the defective pictures, strictly between 0 and 1.
        source: "planted" makes no promise, whatever the number.

    Raises:
        CalibrationError: too few for the share (``calibration.too_few_defects``), a score that is not finite, or a
            share or certainty outside (0, 1).
    """
    for name, share in (("share of escapes", escapes), ("certainty", sure)):
        if not 0 < share < 1:
            raise CalibrationError(f"The {name} lies between 0 and 1; it is {share}.")
    rising = tuple(sorted(float(score) for score in scores))
    n = len(rising)
    if wrong := sum(not math.isfinite(score) for score in rising):
        raise CalibrationError(
            f"{wrong} of {n} scores of defects are not finite: the pictures or the bundle are broken."
        )
    needed = max(MIN_DEFECTS, pictures_needed(escapes, sure))
    if n < needed:
        best = promised_share(n, 1, sure) if n else 1.0
        can = f" With {n} the best is {percent(round(best, 3))}." if n >= MIN_DEFECTS else ""
        raise CalibrationError(
            f"{n} {'planted ' if source == 'planted' else ''}defects are too few to be {percent(sure)} sure that at "
            f"most {percent(escapes)} of defective pictures are called good.{can} Take {needed} ({needed - n} more).",
            code="calibration.too_few_defects",
        )
    allowed = false_alarms_allowed(n, escapes, sure)
    return Lower(
        source=source,
        requested=float(escapes),
        sure=float(sure),
        promised=promised_share(n, allowed, sure) if source == "defects" else None,
        n=n,
        threshold=rising[allowed - 1],
        scores=rising,
    )
