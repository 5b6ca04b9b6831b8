"""A threshold with a promise: split-conformal calibration on good pictures that were never trained on.

Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; for anomaly detection Bates, Candes, Lei,
Romano and Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023. The promise holds on
average over calibrations and for exchangeable pictures: new good pictures come about as the calibration pictures did.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise

from diffusionad.errors import CalibrationError, PictureError

__all__ = ["MIN_FOR_PROMISE", "RULE", "Calibration", "calibrate", "from_json", "pictures_needed"]

RULE = "split-conformal"
"""How the threshold was found; the only rule there is."""

MIN_FOR_PROMISE = 10
"""With fewer calibration pictures a threshold is given, but no promise."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and where it comes from. A picture is anomalous when its score is strictly greater than `threshold`.

    With a promise, and ties or not: score > threshold if and only if p_value(score) <= promised.

    Attributes:
        rule: "split-conformal".
        requested: share of good pictures that may be called anomalous, as asked for, 0..1.
        promised: the share that holds, at least 1 / (n + 1); None with fewer than 10 pictures.
        needed: how many calibration pictures the requested share takes.
        n: how many there were.
        threshold: one of the scores.
        scores: [n] rising, image scores of good pictures never trained on.
    """

    rule: str
    requested: float
    promised: float | None
    needed: int
    n: int
    threshold: float
    scores: tuple[float, ...]

    def p_value(self, score: float) -> float:
        """Share of calibration pictures at least as anomalous, the new one counted in: (1 + #{>= score}) / (n + 1).

        Raises:
            PictureError: `score` is not finite.
        """
        if not math.isfinite(score):
            raise PictureError(f"The picture's score is {score}: it cannot be judged.", code="picture.nonfinite")
        return (1 + self.n - bisect_left(self.scores, score)) / (self.n + 1)

    def sentence(self) -> str:
        """What the threshold promises, in plain words, and what a missing promise would take."""
        made = f"Made from {self.n} good picture{'s' if self.n > 1 else ''} never trained on:"
        if self.promised is None:
            said = f"{made} fewer than {MIN_FOR_PROMISE}, so nothing is promised about false alarms."
        else:
            false_alarms = _allowed(self.n, self.requested)
            said = (
                f"{made} at most {_in_words(Fraction(false_alarms, self.n + 1))} on average, "
                "as long as new pictures are taken like these."
            )
        more = max(self.needed, MIN_FOR_PROMISE) - self.n
        if more <= 0:
            return said
        wanted = _exact(self.requested)
        total = f"{self.n + more} pictures ({more} more)"
        return f"{said} For {wanted.numerator} in {wanted.denominator}, calibrate with {total}."

    def to_json(self) -> dict[str, object]:
        """As plain JSON values; `from_json` reverses it."""
        return {**asdict(self), "scores": list(self.scores)}


def calibrate(scores: Sequence[float], false_alarms: float = 0.01) -> Calibration:
    """The lowest threshold that calls at most a share `false_alarms` of good pictures anomalous.

    Split-conformal: the k-th smallest of the n scores, k = ceil((n + 1) (1 - false_alarms)). A good picture is above it
    with a chance of at most (n + 1 - k) / (n + 1). When k > n, too few pictures for the share, it is the largest score,
    whose chance is 1 / (n + 1).

    Args:
        scores: image scores of good pictures that the network was not trained on, in any order.
        false_alarms: the share, strictly between 0 and 1. Read as the decimal number it is written as.

    Raises:
        CalibrationError: no scores, a score that is not finite, all scores equal, or a share outside (0, 1).
    """
    if not 0 < false_alarms < 1:
        raise CalibrationError(f"The share of false alarms lies between 0 and 1, such as 0.01; it is {false_alarms}.")
    rising = tuple(sorted(float(score) for score in scores))
    n = len(rising)
    if not n:
        raise CalibrationError("No scores to calibrate with: keep some good pictures out of training.")
    if wrong := sum(not math.isfinite(score) for score in rising):
        raise CalibrationError(f"{wrong} of {n} scores are not finite: the pictures or the bundle are broken.")
    if n > 1 and rising[0] == rising[-1]:
        raise CalibrationError(f"All {n} scores are {rising[0]}: the pictures or the bundle are broken.")
    allowed = _allowed(n, false_alarms)
    return Calibration(
        rule=RULE,
        requested=float(false_alarms),
        promised=allowed / (n + 1) if n >= MIN_FOR_PROMISE else None,
        needed=pictures_needed(false_alarms),
        n=n,
        threshold=rising[n - allowed],
        scores=rising,
    )


def pictures_needed(false_alarms: float) -> int:
    """Fewest calibration pictures with which the share `false_alarms`, strictly in (0, 1), can be promised."""
    return math.ceil(1 / _exact(false_alarms)) - 1


def from_json(stored: object) -> Calibration:
    """Reverse of `Calibration.to_json`. Everything but scores and share is worked out again and compared.

    Raises:
        CalibrationError: keys are missing or unknown, a type is wrong, or the fields contradict each other.
    """
    if not isinstance(stored, Mapping):
        raise CalibrationError(f"A stored calibration is a JSON object, not {type(stored).__name__}.")
    known = set(Calibration.__dataclass_fields__)
    for problem, keys in (("lacks", known - set(stored)), ("has unknown keys:", set(stored) - known)):
        if keys:
            names = ", ".join(sorted(map(str, keys)))
            raise CalibrationError(
                f"The stored calibration {problem} {names}; its keys are {', '.join(sorted(known))}."
            )
    scores, requested = stored["scores"], stored["requested"]
    if not isinstance(scores, list | tuple) or not all(_is_number(value) for value in (*scores, requested)):
        raise CalibrationError(
            "The stored calibration's scores must be a list of numbers, its requested share a number."
        )
    if any(one > other for one, other in pairwise(scores)):
        raise CalibrationError("The stored calibration's scores are not in rising order: the file was changed.")
    calibration = calibrate(scores, requested)
    for key, value in calibration.to_json().items():
        if key != "scores" and (stored[key] != value or isinstance(stored[key], bool)):
            raise CalibrationError(
                f"The stored calibration says {key} = {stored[key]!r}, its scores say {value!r}: the file was changed."
            )
    return calibration


def _allowed(n: int, false_alarms: float) -> int:
    """How many, n + 1 - k, of n + 1 exchangeable good pictures may be above the threshold, at least 1."""
    return max(1, math.floor((n + 1) * _exact(false_alarms)))


def _exact(share: float) -> Fraction:
    """The decimal that was written: 0.07 is 7/100, so that 100 * 0.93 is 93 and never a hair more."""
    return Fraction(repr(float(share)))


def _in_words(share: Fraction) -> str:
    verb = "is" if share.numerator == 1 else "are"
    return f"{share.numerator} in {share.denominator} good pictures {verb} called anomalous"


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) <= 2**53)
