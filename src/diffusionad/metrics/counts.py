"""What counts of right and wrong can show: exact intervals and the exact paired test. No approximation, no scipy.

Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 1934; McNemar, "Note on the sampling error
of the difference between correlated proportions", Psychometrika 1947, in its exact (binomial) form.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from diffusionad.errors import UsageError

__all__ = ["clopper_pearson", "least_discordant", "mcnemar"]

_HALVINGS = 60
"""Of an interval in 0..1: the end is exact to the last digits of a float."""


def clopper_pearson(hits: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """The range in which the true rate lies with at least `confidence`, both sides cut equally.

    Args:
        hits: how often it happened, 0..of.
        of: how often it could have, at least 1.
        confidence: strictly in (0, 1).

    Returns:
        (low, high), 0..1; low is 0 without hits, high is 1 when all are.

    Raises:
        UsageError: the counts or the confidence cannot be.
    """
    if not 0 <= hits <= of or of < 1 or not 0 < confidence < 1:
        raise UsageError(f"{hits} of {of} at a confidence of {confidence} is no count with a range.")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _root(lambda rate: _at_least(hits, of, rate) - tail)
    high = 1.0 if hits == of else _root(lambda rate: tail - (1 - _at_least(hits + 1, of, rate)))
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that two judges of the same pictures err equally often.

    Args:
        only_first: pictures that only the first got right.
        only_second: pictures that only the second got right.

    Returns:
        in (0, 1]; 1 when they never differ.
    """
    of = only_first + only_second
    if of == 0:
        return 1.0
    return min(1.0, 2 * _at_least(max(only_first, only_second), of, 0.5))


def least_discordant(alpha: float) -> int:
    """Fewest pictures on which two judges must differ, all in favour of one, for `mcnemar` to be at most `alpha`."""
    return math.ceil(1 + math.log2(1 / alpha))


def _root(rises: Callable[[float], float]) -> float:
    """Where a rising function on 0..1 passes 0."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return (low + high) / 2


def _at_least(hits: int, of: int, rate: float) -> float:
    """Chance of `hits` >= 1 or more in `of` trials: the regularised incomplete beta I_rate(hits, of - hits + 1)."""
    if rate <= 0 or rate >= 1:
        return float(rate >= 1)
    a, b = float(hits), float(of - hits + 1)
    if rate > (a + 1) / (a + b + 2):  # where the fraction below converges fast
        return 1 - _fraction(b, a, 1 - rate)
    return _fraction(a, b, rate)


def _fraction(a: float, b: float, x: float) -> float:
    """I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8), evaluated forwards after Lentz."""
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d, value = 1.0, 0.0, 1.0
    for step in range(10_000):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d or 1e-300)
        c = 1 + term / c or 1e-300
        value *= c * d
        if step and abs(c * d - 1) < 1e-15:
            break
    return math.exp(front) * (value - 1) / a
