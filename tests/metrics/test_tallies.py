from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffusionad.metrics.tallies import coarse, empty_tally, merged, rounded, tally

unit = st.floats(0, 1, width=32)
few = st.sampled_from([0.0, 0.25, 0.5, 1.0])
arrays = hnp.arrays(np.float32, st.integers(0, 40), elements=few | unit)


@given(arrays, arrays)
def test_merging_is_counting_together(one: np.ndarray, other: np.ndarray) -> None:
    weights = np.arange(1.0, len(one) + len(other) + 1)
    together = tally(np.concatenate([one, other]), weights)
    apart = merged(tally(one, weights[: len(one)]), tally(other, weights[len(one) :]))
    values, counts = np.unique(np.concatenate([one, other]), return_counts=True)
    for found in (together, apart, merged(tally(one), tally(other))):
        assert np.array_equal(found.values, values)
        assert np.array_equal(found.counts, counts)
    expected = [weights[np.concatenate([one, other]) == value].sum() for value in values]
    assert np.allclose(together.weights, expected, rtol=1e-14)
    assert np.allclose(apart.weights, expected, rtol=1e-14)


@given(arrays, arrays)
def test_above_and_at_least_count_one_by_one(values: np.ndarray, thresholds: np.ndarray) -> None:
    counted = tally(values)
    assert counted.total == len(values)
    assert counted.above(thresholds).tolist() == [int((values > t).sum()) for t in thresholds]
    assert counted.at_least(thresholds).tolist() == [int((values >= t).sum()) for t in thresholds]


@settings(max_examples=150)
@given(hnp.arrays(np.float32, st.integers(1, 40), elements=unit))
def test_coarse_rounds_down_within_its_bound_keeps_order_and_settles(values: np.ndarray) -> None:
    grid = coarse(values)
    loss = values.astype(np.float64) - grid
    assert (loss >= 0).all()
    assert (loss < 2.0**-24).all()
    normal = values >= np.finfo(np.float32).tiny
    assert (loss[normal] < values[normal] * 2.0**-13).all()
    assert np.array_equal(coarse(grid), grid)
    assert (np.diff(coarse(np.sort(values))) >= 0).all()
    assert np.array_equal(grid[values >= 0.5], values[values >= 0.5])


def test_coarse_has_at_most_18_million_values() -> None:
    total = 126 * 2**13  # one share for each octave of float32 below 1, and one for the subnormal numbers
    for octave in range(1, 15):
        low = np.float32(2.0**-octave)
        part = np.arange(low.view(np.uint32), low.view(np.uint32) + 2**18, dtype=np.uint32)  # 1/32 of the octave
        total += 32 * len(np.unique(coarse(part.view(np.float32))))
    assert 2**24 < total < 18_000_000


@given(arrays)
def test_rounding_a_tally_is_tallying_the_rounded(values: np.ndarray) -> None:
    weights = np.ones(len(values))
    one, other = rounded(tally(values, weights)), tally(coarse(values), weights)
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.counts, other.counts)
    assert np.array_equal(one.weights, other.weights)


def test_nothing_merged_with_nothing() -> None:
    nothing = merged(empty_tally(), rounded(empty_tally()))
    assert nothing.total == 0
    assert nothing.above(np.array([0.5], np.float32)).tolist() == [0]
