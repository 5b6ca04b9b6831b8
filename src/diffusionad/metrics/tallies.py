"""Sorted distinct values with counts: a multiset that grows map by map and stays small."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tally", "coarse", "empty_tally", "merged", "rounded", "tally"]

Values: TypeAlias = NDArray[np.floating[Any]]
_Number = TypeVar("_Number", np.int64, np.float64)

_FIXED = np.float32(2**24)
_SHORT = np.uint32(0xFFFFFC00)  # sign, exponent and 13 of 23 stored bits


@dataclass(frozen=True, slots=True)
class Tally:
    """Distinct values in rising order, how often each occurred, and the weight that goes with it.

    Attributes:
        values: [N] float, strictly rising.
        counts: [N] int64, at least 1.
        weights: [N] float64, sum of the weights of equal values; [0] where nothing is weighted.
    """

    values: Values
    counts: NDArray[np.int64]
    weights: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def total(self) -> int:
        """How many values were counted, equal ones included."""
        return int(self.counts.sum())

    def above(self, thresholds: Values) -> NDArray[np.int64]:
        """How many counted values are strictly greater than each of `thresholds`: [M] int64."""
        return self._from(np.searchsorted(self.values, thresholds, side="right"))

    def at_least(self, thresholds: Values) -> NDArray[np.int64]:
        """How many counted values are greater than or equal to each of `thresholds`: [M] int64."""
        return self._from(np.searchsorted(self.values, thresholds, side="left"))

    def _from(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        below = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts)])
        remaining: NDArray[np.int64] = below[-1] - below[positions]
        return remaining


def empty_tally() -> Tally:
    """A tally of nothing, float32."""
    return Tally(np.empty(0, np.float32), np.empty(0, np.int64))


def tally(values: Values, weights: NDArray[np.float64] | None = None) -> Tally:
    """Count `values` ([N], finite, any order) and add up the `weights` ([N]) of equal ones."""
    if weights is None:
        values = np.sort(values)
        starts = _starts(values)
        return Tally(values[starts], np.diff(starts, append=len(values)))
    order = np.argsort(values, kind="stable")
    values = values[order]
    starts = _starts(values)
    sums = np.add.reduceat(weights[order], starts) if len(starts) else weights
    return Tally(values[starts], np.diff(starts, append=len(values)), sums)


def merged(one: Tally, other: Tally) -> Tally:
    """The tally of everything counted in `one` or `other`, float32 and float64 not mixed, weighted both or neither."""
    held, added = (one, other) if len(one.values) >= len(other.values) else (other, one)
    if not len(added.values):
        return held
    below = np.searchsorted(held.values, added.values)
    is_new = held.values[np.minimum(below, len(held.values) - 1)] != added.values
    places = below + np.cumsum(is_new) - is_new
    was_held = np.ones(len(held.values) + np.count_nonzero(is_new), np.bool_)
    was_held[places[is_new]] = False
    values = np.empty(len(was_held), held.values.dtype)
    values[was_held] = held.values
    values[places] = added.values
    counts = _spread(held.counts, was_held)
    counts[places] += added.counts
    if not len(held.weights):
        return Tally(values, counts)
    weights = _spread(held.weights, was_held)
    weights[places] += added.weights
    return Tally(values, counts, weights)


def rounded(exact: Tally) -> Tally:
    """`exact` with its values rounded down by `coarse`; float32 in 0..1 only."""
    values = coarse(exact.values.astype(np.float32, copy=False))
    starts = _starts(values)
    weights = np.add.reduceat(exact.weights, starts) if len(exact.weights) else exact.weights
    return Tally(values[starts], np.diff(np.cumsum(exact.counts)[_ends(starts, len(values))], prepend=0), weights)


def coarse(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round values in 0..1 down to one of about 18 million grid values, by less than 2^-24 and than 2^-13 of the value.

    The grid is the multiples of 2^-24 (all float32 from 0.5 to 1 are among them) and, for what is too small for those
    to tell apart, numbers of 14 significant bits. Order is kept, except that close values become equal. Rounding twice
    is rounding once, so it does not matter when it starts.
    """
    fixed = np.floor(values * _FIXED) / _FIXED
    short = (values.view(np.uint32) & _SHORT).view(np.float32)
    nearer: NDArray[np.float32] = np.maximum(fixed, short)
    return nearer


def _starts(rising: Values) -> NDArray[np.int64]:
    """Where each distinct value of a sorted array begins."""
    return np.flatnonzero(np.concatenate([np.ones(min(len(rising), 1), np.bool_), rising[1:] != rising[:-1]]))


def _ends(starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Where each stretch has its last element."""
    return np.append(starts[1:], length)[: len(starts)] - 1


def _spread(numbers: NDArray[_Number], places: NDArray[np.bool_]) -> NDArray[_Number]:
    """`numbers` at the true `places` in turn, 0 elsewhere."""
    wide = np.zeros(len(places), numbers.dtype)
    wide[places] = numbers
    return wide
