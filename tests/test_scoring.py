from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from diffusionad.errors import PictureError, UsageError
from diffusionad.scoring import RegionFinder, RunningScore, find_regions, image_score, top_k_for

maps = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 0.25, 0.5]) | st.floats(0, 1, width=32),
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((256, 256), 50), ((512, 512), 200), ((128, 256), 25), ((64, 64), 3), ((8, 8), 1), ((1, 1), 1)],
)
def test_top_k_keeps_its_share_of_the_picture(size: tuple[int, int], expected: int) -> None:
    assert top_k_for(size) == expected


def test_top_k_never_exceeds_the_picture() -> None:
    assert top_k_for((2, 2), reference_k=100, reference_side=4) == 4
    with pytest.raises(UsageError):
        top_k_for((0, 256))


@given(maps, st.data())
def test_image_score_is_the_exact_mean_of_the_highest(anomaly_map: np.ndarray, data: st.DataObject) -> None:
    top_k = data.draw(st.integers(1, anomaly_map.size))
    highest = sorted(anomaly_map.ravel().tolist())[-top_k:]
    exact = float(sum(map(Fraction, highest)))
    assert image_score(anomaly_map, top_k) == exact / top_k
    shuffled = np.random.default_rng(0).permutation(anomaly_map.ravel()).reshape(anomaly_map.shape)
    assert image_score(shuffled, top_k) == image_score(anomaly_map, top_k)


def test_image_score_leaves_the_map_alone() -> None:
    anomaly_map = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    before = anomaly_map.copy()
    image_score(anomaly_map, 5)
    assert np.array_equal(anomaly_map, before)


@settings(max_examples=100, deadline=None)
@given(maps, st.floats(0, 1), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_regions_are_those_of_scipy_scaled_outwards(
    anomaly_map: np.ndarray, threshold: float, native_size: tuple[int, int]
) -> None:
    mask = anomaly_map.astype(np.float64) > threshold
    numbers, count = ndimage.label(mask, np.ones((3, 3)))
    tall, wide = (Fraction(native, side) for native, side in zip(native_size, anomaly_map.shape, strict=True))
    expected = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers), start=1):
        x0, y0 = columns.start * wide // 1, rows.start * tall // 1
        x1, y1 = -(-columns.stop * wide // 1), -(-rows.stop * tall // 1)
        area = max(1, round(float((numbers == number).sum() * tall * wide)))
        expected.append(((x0, y0, x1 - x0, y1 - y0), area, float(anomaly_map[numbers == number].max())))
    found = find_regions(anomaly_map, threshold, native_size)
    assert len(found) == count
    assert sorted((region.box, region.area, region.peak) for region in found) == sorted(expected)
    assert [region.peak for region in found] == sorted((region.peak for region in found), reverse=True)
    for x, y, width, height in (region.box for region in found):
        assert 0 <= x < x + width <= native_size[1]
        assert 0 <= y < y + height <= native_size[0]


def test_a_worked_example() -> None:
    anomaly_map = np.zeros((8, 8), np.float32)
    anomaly_map[1:3, 2:6] = 0.75
    anomaly_map[6, 7] = 0.875
    first, second = find_regions(anomaly_map, 0.5, (80, 160))
    assert (first.box, first.area, first.peak) == ((140, 60, 20, 10), 200, 0.875)
    assert (second.box, second.area, second.peak) == ((40, 10, 80, 20), 1600, 0.75)
    assert find_regions(anomaly_map, 0.5, (80, 160), min_area=201) == (second,)
    assert find_regions(anomaly_map, 0.5, (80, 160), min_area=200) == (first, second)


def test_strictly_above_even_between_float32_and_float64() -> None:
    tenth = np.full((2, 2), 0.1, np.float32)  # a hair above the float64 0.1
    assert len(find_regions(tenth, 0.1, (2, 2))) == 1
    assert find_regions(tenth, float(tenth[0, 0]), (2, 2)) == ()
    assert find_regions(tenth, 1.0, (2, 2)) == ()


def test_a_picture_that_cannot_be_judged_is_never_good() -> None:
    broken = np.zeros((4, 4), np.float32)
    broken[1, 1] = np.nan
    for judge in (lambda: image_score(broken, 3), lambda: find_regions(broken, 0.5, (4, 4))):
        with pytest.raises(PictureError) as caught:
            judge()
        assert caught.value.code == "picture.nonfinite"


def test_arguments_that_cannot_be_are_refused() -> None:
    anomaly_map = np.zeros((4, 4), np.float32)
    for refused in (
        lambda: image_score(anomaly_map, 0),
        lambda: image_score(anomaly_map, 17),
        lambda: image_score(anomaly_map[None], 1),
        lambda: find_regions(anomaly_map, float("nan"), (4, 4)),
        lambda: find_regions(anomaly_map, 0.5, (0, 4)),
        lambda: find_regions(anomaly_map[0], 0.5, (4, 4)),
    ):
        with pytest.raises(UsageError):
            refused()


@settings(max_examples=150, deadline=None)
@given(anomaly_map=maps, threshold=st.floats(0, 1), cuts=st.lists(st.integers(1, 11), max_size=4), data=st.data())
def test_a_map_that_comes_in_parts_has_the_score_and_the_regions_of_the_whole(
    anomaly_map: np.ndarray, threshold: float, cuts: list[int], data: st.DataObject
) -> None:
    size, top_k = anomaly_map.shape, data.draw(st.integers(1, anomaly_map.size))
    running, least = RunningScore(top_k), RunningScore(top_k, least=True)
    finder = RegionFinder(threshold, size, (30, 50))
    edges = sorted({0, size[0], *(cut for cut in cuts if cut < size[0])})
    for first, end in pairwise(edges):
        running.add(anomaly_map[first:end])
        least.add(anomaly_map[first:end])
        finder.add(anomaly_map[first:end])
    assert running.score() == image_score(anomaly_map, top_k)
    assert least.score() == image_score(anomaly_map, top_k, least=True)
    whole = find_regions(anomaly_map, threshold, (30, 50))
    assert finder.regions() == whole
    for most in (1, 3):
        few = RegionFinder(threshold, size, size, most)
        for row in anomaly_map:
            few.add(row[None])
        kept = few.regions()
        assert [region.peak for region in kept] == [region.peak for region in whole[:most]]
        assert few.left_out == len(whole) - len(kept)


def test_too_few_pixels_make_no_running_score() -> None:
    running = RunningScore(5)
    running.add(np.ones((2, 2), np.float32))
    with pytest.raises(UsageError, match="the map has 4"):
        running.score()
