"""Exact intervals and the exact paired test against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diffusionad.errors import UsageError
from diffusionad.metrics.counts import clopper_pearson, least_discordant, mcnemar


@given(st.integers(1, 100_000), st.floats(0, 1), st.sampled_from((0.8, 0.9, 0.95, 0.99)))
def test_the_range_is_that_of_scipy(of: int, share: float, confidence: float) -> None:
    hits = round(share * of)
    low, high = clopper_pearson(hits, of, confidence)
    known = stats.binomtest(hits, of).proportion_ci(confidence, "exact")
    assert low == pytest.approx(known.low, abs=1e-10)
    assert high == pytest.approx(known.high, abs=1e-10)


def test_without_hits_the_rule_of_three_holds() -> None:
    low, high = clopper_pearson(0, 300, 0.9)  # one-sided 95 %
    assert low == 0
    assert high == pytest.approx(3 / 300, rel=0.01)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_paired_test_is_the_binomial_one(first: int, second: int) -> None:
    known = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 0.001, 1 / 16])
def test_fewer_pictures_than_the_least_can_never_show_a_difference(alpha: float) -> None:
    least = least_discordant(alpha)
    assert mcnemar(0, least) <= alpha * (1 + 1e-12) < mcnemar(0, least - 1)


@pytest.mark.parametrize("wrong", [(-1, 5, 0.95), (6, 5, 0.95), (0, 0, 0.95), (1, 5, 1.0), (1, 5, 0.0)])
def test_counts_that_cannot_be_are_refused(wrong: tuple[int, int, float]) -> None:
    with pytest.raises(UsageError):
        clopper_pearson(*wrong)
