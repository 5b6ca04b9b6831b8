"""Shares and the binomial law: how many of n good pictures may lie above a threshold, and what that promises.

Two kinds of promise:

    on average      over all calibrations, a good picture is above the threshold with at most this chance. With a of n
                    scores at or above it: a / (n + 1) (Vovk, Gammerman and Shafer 2005)
    sure            for this very threshold, with a stated certainty over calibrations. The share of good pictures above
                    it is Beta(a, n + 1 - a) (Vovk, "Conditional validity of inductive conformal predictors", 2012)
"""

from __future__ import annotations

import math
from fractions import Fraction

from diffusionad.errors import CalibrationError

__all__ = [
    "at_most",
    "exact",
    "false_alarms_allowed",
    "in_words",
    "lower_bound",
    "percent",
    "pictures_needed",
    "promised_share",
    "upper_bound",
]


def exact(share: float) -> Fraction:
    """The decimal that was written: 0.07 is 7/100, so that 100 * 0.93 is 93 and never a hair more."""
    return Fraction(repr(float(share)))


def at_most(k: int, n: int, share: float) -> float:
    """P(X <= k) for X binomial with n trials of chance `share` in 0..1: 1 - I_share(k + 1, n - k), incomplete beta."""
    if k < 0:
        return 0.0
    if k >= n or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    up, down, whole = math.log(share), math.log1p(-share), math.lgamma(n + 1)
    below = k <= n * share  # the shorter tail is the more exact one
    counts = range(k + 1) if below else range(k + 1, n + 1)
    tail = math.fsum(
        math.exp(whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * up + (n - i) * down) for i in counts
    )
    return min(1.0, tail) if below else max(0.0, 1.0 - tail)


def upper_bound(k: int, n: int, sure: float) -> float:
    """Clopper-Pearson: the share that k of n cases leave possible from above, with certainty `sure`.

    The largest share under which k cases or fewer still have a chance above 1 - sure; it is the `sure` quantile of
    Beta(k + 1, n - k). 1 when k = n.

    Raises:
        CalibrationError: not 0 <= k <= n with n of at least 1, or `sure` outside (0, 1).
    """
    _check(k, n, sure)
    return 1.0 if k == n else _crossing(k, n, _doubt(sure))


def lower_bound(k: int, n: int, sure: float) -> float:
    """Clopper-Pearson from below: the share is at least this, with certainty `sure`. 0 when k = 0.

    Raises:
        CalibrationError: as `upper_bound`.
    """
    return 1.0 - upper_bound(n - k, n, sure)


def false_alarms_allowed(n: int, share: float, sure: float | None) -> int:
    """How many of n scores may lie at or above the threshold (0: not one, the share cannot be promised).

    Without `sure` the largest a with a / (n + 1) <= share; with it, the largest a whose Beta(a, n + 1 - a) is at most
    `share` with certainty `sure`, which is P(Binomial(n, share) <= a - 1) <= 1 - sure.
    """
    if sure is None:
        return math.floor((n + 1) * exact(share))
    doubt = _doubt(sure)
    low, high = 0, n + 1  # at_most(a - 1) rises with a: `low` is allowed, `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at_most(middle - 1, n, share) <= doubt else (low, middle)
    return low


def promised_share(n: int, allowed: int, sure: float | None) -> float:
    """The share that holds when `allowed` of n scores, 1..n, lie at or above the threshold."""
    return allowed / (n + 1) if sure is None else upper_bound(allowed - 1, n, sure)


def pictures_needed(share: float, sure: float | None = None) -> int:
    """Fewest calibration pictures with which `share`, strictly in (0, 1), can be promised.

    On average 1 / share - 1, rounded up; with certainty `sure` the first n with (1 - share)^n <= 1 - sure.
    """
    if sure is None:
        return math.ceil(1 / exact(share)) - 1
    n = max(1, math.ceil(math.log(_doubt(sure)) / math.log1p(-share)))
    while at_most(0, n, share) > _doubt(sure):  # the logarithms may be a hair off
        n += 1
    while n > 1 and at_most(0, n - 1, share) <= _doubt(sure):
        n -= 1
    return n


def in_words(share: float | Fraction) -> str:
    """'1 in 88', never less than `share`; a fraction with a small numerator is kept as it is: '2 in 251'."""
    if isinstance(share, Fraction):
        return f"{share.numerator} in {share.denominator}"
    return f"1 in {math.floor(1 / share)}" if share <= 0.5 else f"{math.ceil(share * 100)} in 100"


def percent(share: float) -> str:
    """0.05 -> '5 %'."""
    return f"{float(exact(share) * 100):.6g} %"


def _doubt(sure: float) -> float:
    return float(1 - exact(sure))


def _crossing(k: int, n: int, doubt: float) -> float:
    """The smallest share with P(Binomial(n, share) <= k) <= doubt, to the last bit but one."""
    low, high = 0.0, 1.0
    while True:
        middle = (low + high) / 2
        if not low < middle < high or high - low < 1e-15 * high:
            return high
        low, high = (low, middle) if at_most(k, n, middle) <= doubt else (middle, high)


def _check(k: int, n: int, sure: float) -> None:
    if not (n >= 1 and 0 <= k <= n and 0 < sure < 1):
        raise CalibrationError(
            f"A bound needs 0 to n cases of n, and a certainty between 0 and 1; these are {k} of {n} and {sure}."
        )
