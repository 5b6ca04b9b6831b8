"""Laws of tiles: all of the picture is covered, weights add up to one, and what depends on the place comes back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusionad.data import Framing, Tiles, Tiling, cut_mask, cut_tile, pooled
from diffusionad.errors import UsageError

sizes = st.tuples(st.integers(8, 90), st.integers(8, 90))
tilings = st.builds(Tiling, sizes, st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(0, 0.5))


def of_places(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Two channels of random values for each place, [2, H, W]."""
    return np.random.default_rng(seed).random((2, *size), dtype=np.float32)


def cut_map(values: np.ndarray, tiling: Tiling, corner: tuple[int, int]) -> np.ndarray:
    return cut_tile(values.transpose(1, 2, 0), corner, tiling.tile).transpose(2, 0, 1)


def whole(tiling: Tiling, maps: list[np.ndarray]) -> np.ndarray:
    firsts, parts = zip(*tiling.blended(iter(maps)), strict=True)
    assert list(firsts) == np.cumsum([0, *(part.shape[1] for part in parts)])[:-1].tolist()
    return np.concatenate(parts, axis=1)


def slowly(tiling: Tiling, maps: list[np.ndarray], order: list[int]) -> np.ndarray:
    """The blend from its definition: in any order, every tile at once, two-dimensional weights."""
    height, width = tiling.tile
    reach = [max(1, round(tiling.overlap * side)) for side in tiling.tile]
    total, weights = np.zeros((2, *tiling.size)), np.zeros(tiling.size)
    for index in order:
        top, left = tiling.corners()[index]
        for y in range(max(0, -top), min(height, tiling.size[0] - top)):
            for x in range(max(0, -left), min(width, tiling.size[1] - left)):
                edges = (min(y, height - 1 - y) + 0.5) / reach[0], (min(x, width - 1 - x) + 0.5) / reach[1]
                weight = np.prod([np.sin(np.pi / 2 * min(1, edge)) ** 2 for edge in edges])
                total[:, top + y, left + x] += weight * maps[index][:, y, x]
                weights[top + y, left + x] += weight
    return total / weights


@settings(max_examples=150, deadline=None)
@given(tiling=tilings)
def test_tiles_cover_all_lie_inside_and_overlap_as_asked(tiling: Tiling) -> None:
    for starts, length, side in zip((tiling.rows, tiling.columns), tiling.size, tiling.tile, strict=True):
        if length <= side:
            assert starts == [(length - side) // 2]
            continue
        assert (starts[0], starts[-1]) == (0, length - side)
        steps = np.diff(starts)
        assert steps.min() >= 1
        assert steps.max() <= max(1, side - round(tiling.overlap * side)), "a gap, or less overlap than asked for"


@settings(max_examples=100, deadline=None)
@given(tiling=tilings, value=st.floats(0, 1, width=32))
def test_a_constant_stays_to_the_bit(tiling: Tiling, value: float) -> None:
    """So the weights are one everywhere: a gap would give 0, a seam something else."""
    maps = [np.full((1, *tiling.tile), value, np.float32) for _ in tiling.corners()]
    blended = whole(tiling, maps)
    assert blended.shape == (1, *tiling.size)
    np.testing.assert_array_equal(blended, np.float32(value))


@settings(max_examples=100, deadline=None)
@given(tiling=tilings, seed=st.integers(0, 99))
def test_what_depends_on_the_place_comes_back_as_it_was(tiling: Tiling, seed: int) -> None:
    values = of_places(tiling.size, seed)
    np.testing.assert_array_equal(whole(tiling, [cut_map(values, tiling, at) for at in tiling.corners()]), values)


@settings(max_examples=12, deadline=None)
@given(
    tiling=st.builds(Tiling, st.tuples(st.integers(8, 24), st.integers(8, 24)), st.just((10, 8)), st.floats(0, 0.5)),
    data=st.data(),
)
def test_it_is_the_blend_of_the_definition_in_any_order(tiling: Tiling, data: st.DataObject) -> None:
    count = len(tiling.corners())
    maps = [of_places(tiling.tile, seed) for seed in range(count)]
    order = data.draw(st.permutations(range(count)))
    np.testing.assert_allclose(whole(tiling, maps), slowly(tiling, maps, order), rtol=0, atol=1e-6)


def test_two_tiles_that_disagree_meet_without_a_step() -> None:
    tiling = Tiling((64, 112), (64, 64), 0.25)
    blended = whole(tiling, [np.full((1, 64, 64), value, np.float32) for value in (0.0, 1.0)])[0, 5]
    assert (blended[47], blended[64]) == (0, 1)
    assert np.diff(blended).min() >= 0
    assert np.diff(blended).max() < 0.1  # 16 pixels of overlap; a seam would be a step of 1


@settings(max_examples=60, deadline=None)
@given(tiling=tilings)
def test_only_the_picture_is_judged_and_all_of_it(tiling: Tiling) -> None:
    seen = np.zeros(tiling.size, np.bool_)
    inside = np.random.default_rng(0).random(tiling.size) < 0.5
    for top, left in tiling.corners():
        judged = tiling.judged((top, left), inside)
        assert judged is not None
        for y, x in np.argwhere(judged):
            seen[top + y, left + x] = True
        everywhere = tiling.judged((top, left))
        is_inside = min(top, left) >= 0
        assert (everywhere is None or bool(everywhere.all())) == is_inside
    np.testing.assert_array_equal(seen, inside)


def test_a_small_picture_lies_in_the_middle_and_its_edges_are_repeated() -> None:
    tiling, picture = Tiling((2, 20), (4, 8), 0.25), np.arange(40).reshape(2, 20)
    tile = cut_tile(picture, tiling.corners()[0], tiling.tile)
    np.testing.assert_array_equal(tile, picture[[0, 0, 1, 1], :8])


def test_tiles_of_many_pictures_are_those_that_judging_cuts() -> None:
    pictures = [np.random.default_rng(size).integers(0, 255, (size, 30, 3), np.uint8) for size in (20, 50)]
    tiles = Tiles(pictures, (16, 16), 0.25)
    expected = [
        cut_tile(picture, corner, (16, 16))
        for picture in pictures
        for corner in Tiling((len(picture), 30), (16, 16), 0.25).corners()
    ]
    assert len(tiles) == len(expected) == 2 * 3 + 4 * 3
    for tile, cut in zip(tiles, expected, strict=True):
        np.testing.assert_array_equal(tile, cut)


def test_a_mask_at_another_resolution_is_cut_where_the_tile_lies() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[5:, 10:] = True
    full = np.kron(mask, np.ones((4, 4), np.bool_))
    for corner in ((0, 0), (13, 30), (24, 64)):
        np.testing.assert_array_equal(cut_mask(mask, (40, 80), corner, (16, 16)), cut_tile(full, corner, (16, 16)))


@settings(max_examples=60, deadline=None)
@given(size=sizes, factor=st.integers(1, 12), cuts=st.lists(st.integers(1, 89), max_size=4))
def test_pooling_in_parts_is_pooling_the_whole(size: tuple[int, int], factor: int, cuts: list[int]) -> None:
    values = of_places(size)[0]
    expected = np.array(
        [
            [values[y : y + factor, x : x + factor].max() for x in range(0, size[1], factor)]
            for y in range(0, size[0], factor)
        ]
    )
    np.testing.assert_array_equal(pooled(values, factor), expected)
    gathered = np.zeros_like(expected)
    edges = sorted({0, size[0], *(cut for cut in cuts if cut < size[0])})
    for first, end in pairwise(edges):
        part = pooled(values[first:end], factor, first=first)
        place = gathered[first // factor : first // factor + len(part)]
        np.maximum(place, part, out=place)
    np.testing.assert_array_equal(gathered, expected)


@pytest.mark.parametrize(
    ("tile", "native", "working"),
    [(None, (300, 500), (300, 500)), ((64, 128), (300, 500), (150, 125)), ((64, 64), (3, 9), (2, 4))],
)
def test_a_tiled_view_shows_all_of_the_picture_at_the_scale_of_the_tiles(
    tile: tuple[int, int] | None, native: tuple[int, int], working: tuple[int, int]
) -> None:
    framing = Framing("tile", (32, 32), tile, 0.25)
    view = framing.view(native)
    assert (view.working, view.judged, view.judged_share) == (working, None, 1)
    tiling = framing.tiling(view)
    assert tiling is not None
    assert (tiling.size, tiling.tile) == (working, (32, 32))
    assert Framing("stretch", (32, 32)).tiling(view) is None


@pytest.mark.parametrize("arguments", [((0, 8), (4, 4), 0.2), ((8, 8), (4, 0), 0.2), ((8, 8), (4, 4), 0.6)])
def test_tiles_that_cannot_be_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="Tiles need"):
        Tiling(*arguments)  # type: ignore[arg-type]
