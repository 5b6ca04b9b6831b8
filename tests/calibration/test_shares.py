"""The binomial law by tail sums against scipy's incomplete beta, and the figures that theory gives."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from diffusionad.calibration import lower_bound, pictures_needed, upper_bound
from diffusionad.calibration.shares import at_most, false_alarms_allowed, in_words, percent, promised_share
from diffusionad.errors import CalibrationError


@settings(max_examples=150)
@given(st.integers(1, 3000), st.floats(0, 1), st.floats(1e-6, 1 - 1e-6))
def test_the_tail_is_scipys(n: int, part: float, share: float) -> None:
    k = round(part * n)
    assert at_most(k, n, share) == pytest.approx(binom.cdf(k, n, share), abs=1e-10)


@settings(max_examples=60)
@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_bounds_are_quantiles_of_the_beta_law(n: int, part: float, sure: float) -> None:
    k = round(part * n)
    expected = 1.0 if k == n else beta.ppf(sure, k + 1, n - k)
    assert upper_bound(k, n, sure) == pytest.approx(expected, rel=1e-8)
    assert lower_bound(k, n, sure) == pytest.approx(0.0 if k == 0 else beta.ppf(1 - sure, k, n - k + 1), abs=1e-9)


@settings(max_examples=60)
@given(st.integers(1, 3000), st.sampled_from([0.002, 0.01, 0.05, 0.2]), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_count_allowed_is_the_largest_that_keeps_the_promise(n: int, share: float, sure: float) -> None:
    allowed = false_alarms_allowed(n, share, sure)
    if allowed:
        assert beta.ppf(sure, allowed, n + 1 - allowed) <= share * (1 + 1e-9)
        assert promised_share(n, allowed, sure) <= share * (1 + 1e-9)
    if allowed < n:
        assert beta.ppf(sure, allowed + 1, n - allowed) > share * (1 - 1e-9)
    assert (allowed >= 1) == (n >= pictures_needed(share, sure))


@pytest.mark.parametrize(
    ("n", "average", "sure"),
    [(50, 0.0196, 0.0450), (100, 0.0099, 0.0228), (200, 0.0050, 0.0114), (1000, 0.001, 0.0023)],
)
def test_smallest_honest_promises(n: int, average: float, sure: float) -> None:
    assert promised_share(n, 1, None) == pytest.approx(average, abs=6e-5)
    assert promised_share(n, 1, 0.9) == pytest.approx(sure, abs=6e-5)
    assert promised_share(n, 1, 0.9) == pytest.approx(1 - 0.1 ** (1 / n), rel=1e-9)


def test_pictures_needed_is_the_first_number_that_suffices() -> None:
    assert pictures_needed(0.002, 0.9) == 1151
    assert 0.998**1151 <= 0.1 < 0.998**1150
    assert pictures_needed(0.002) == 499


@pytest.mark.parametrize("share", [0.0001, 0.0113, 0.3, 0.5])
def test_words_never_promise_less_than_holds(share: float) -> None:
    one, _, n = in_words(share).partition(" in ")
    assert int(one) / int(n) >= share > int(one) / (int(n) + 1)
    assert in_words(Fraction(2, 251)) == "2 in 251"
    assert percent(0.07) == "7 %"


@pytest.mark.parametrize(("k", "n", "sure"), [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (0, 5, 1.0), (0, 5, math.nan)])
def test_bounds_of_nothing_are_refused(k: int, n: int, sure: float) -> None:
    with pytest.raises(CalibrationError, match="certainty between 0 and 1"):
        upper_bound(k, n, sure)
