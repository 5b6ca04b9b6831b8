from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from diffusionad.components import label
from diffusionad.errors import UsageError

TOUCHING = np.ones((3, 3), np.int64)


def same_components(mask: np.ndarray) -> None:
    numbers, count = label(mask)
    expected, expected_count = ndimage.label(mask, TOUCHING)
    assert numbers.dtype == np.int32
    assert count == expected_count
    assert np.array_equal(numbers > 0, mask)
    pairs = np.unique(np.stack([numbers[mask], expected[mask]]), axis=1)
    assert pairs.shape[1] == count, "a component was split or two were joined"


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=14), elements=st.booleans()))
def test_equals_scipy_on_any_mask(mask: np.ndarray) -> None:
    same_components(mask)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.4, 0.5, 0.7])
@pytest.mark.parametrize("size", [(64, 97), (1, 200), (200, 1)])
def test_equals_scipy_on_large_noise(share: float, size: tuple[int, int]) -> None:
    same_components(np.random.default_rng(3).random(size) < share)


def snake() -> np.ndarray:
    mask = np.zeros((65, 40), np.bool_)
    mask[::2] = True
    mask[1::4, -1] = True
    mask[3::4, 0] = True
    return mask


def comb() -> np.ndarray:
    mask = np.zeros((50, 81), np.bool_)
    mask[:, ::2] = True
    mask[-1] = True
    return mask


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("shape", [snake, comb])
def test_long_ways_are_one_component(shape, turn: int) -> None:
    assert label(np.rot90(shape(), turn))[1] == 1


def test_corners_touch_but_picture_edges_do_not_wrap() -> None:
    diagonal = np.eye(5, dtype=np.bool_)
    assert label(diagonal)[1] == 1
    wrapped = np.zeros((3, 4), np.bool_)
    wrapped[0, -1] = wrapped[1, 0] = wrapped[2, -1] = True
    assert label(wrapped)[1] == 3


def test_numbers_follow_reading_order() -> None:
    numbers, _ = label(np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]], np.bool_))
    assert numbers[numbers > 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("wrong", [np.zeros((2, 2, 2), np.bool_), np.zeros((2, 2), np.uint8)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="bool mask"):
        label(wrong)
