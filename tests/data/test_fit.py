"""Laws of the three ways to the working size: boxes hold what is drawn, areas survive, stretch is the resize."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diffusionad.data import Framing, View, resize, resize_map, resize_mask
from diffusionad.data.fit import Fit
from diffusionad.errors import UsageError

FITS: tuple[Fit, ...] = ("stretch", "pad", "crop")
RNG = np.random.default_rng(0)
natives = st.tuples(st.integers(8, 90), st.integers(8, 90))
workings = st.tuples(st.integers(4, 40), st.integers(4, 40))
views = st.builds(lambda fit, native, size: Framing(fit, size).view(native), st.sampled_from(FITS), natives, workings)


def picture_of(native: tuple[int, int], dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, (*native, 3), dtype=dtype, endpoint=True)


@settings(max_examples=60, deadline=None)
@given(native=natives, working=workings, deep=st.booleans())
def test_stretch_is_the_plain_resize_to_the_bit(native: tuple[int, int], working: tuple[int, int], deep: bool) -> None:
    view = Framing("stretch", working).view(native)
    picture = picture_of(native, np.uint16 if deep else np.uint8)
    np.testing.assert_array_equal(view.picture(picture), resize(picture, working))
    mask, values = picture[..., 0] > 99, RNG.random(working, dtype=np.float32)
    np.testing.assert_array_equal(view.mask(mask), resize_mask(mask, working))
    np.testing.assert_array_equal(view.to_native(values), resize_map(values, native))
    assert view.silenced(values) is values
    assert (view.judged, view.judged_share) == (None, 1)


@settings(max_examples=100, deadline=None)
@given(view=views)
def test_boxes_lie_inside_and_keep_the_aspect_to_the_nearest_pixel(view: View) -> None:
    for (x, y, width, height), (tall, wide) in ((view.source, view.native), (view.target, view.working)):
        assert 0 <= x < x + width <= wide
        assert 0 <= y < y + height <= tall
        assert abs(2 * x + width - wide) <= 1
        assert abs(2 * y + height - tall) <= 1
    assert view.picture(picture_of(view.native)).shape == (*view.working, 3)
    assert 0 < view.judged_share <= 1


@pytest.mark.parametrize(
    ("fit", "native", "source", "target"),
    [
        ("stretch", (100, 200), (0, 0, 200, 100), (0, 0, 64, 64)),
        ("pad", (100, 200), (0, 0, 200, 100), (0, 16, 64, 32)),
        ("pad", (200, 50), (0, 0, 50, 200), (24, 0, 16, 64)),
        ("crop", (100, 200), (50, 0, 100, 100), (0, 0, 64, 64)),
        ("crop", (200, 50), (0, 75, 50, 50), (0, 0, 64, 64)),
        ("pad", (80, 80), (0, 0, 80, 80), (0, 0, 64, 64)),
        ("crop", (80, 80), (0, 0, 80, 80), (0, 0, 64, 64)),
    ],
)
def test_worked_examples(fit: Fit, native: tuple[int, int], source: object, target: object) -> None:
    view = Framing(fit, (64, 64)).view(native)
    assert (view.source, view.target) == (source, target)


def test_padding_repeats_the_edges_and_is_never_judged() -> None:
    view = Framing("pad", (12, 12)).view((24, 48))
    picture = picture_of((24, 48))
    small = view.picture(picture)
    np.testing.assert_array_equal(small[3:9], resize(picture, (6, 12)))
    for row in range(3):
        np.testing.assert_array_equal(small[row], small[3])
        np.testing.assert_array_equal(small[11 - row], small[8])
    assert view.judged is not None
    np.testing.assert_array_equal(np.flatnonzero(view.judged.all(axis=1)), np.arange(3, 9))
    loud = view.silenced(np.ones((12, 12), np.float32))
    assert (loud.sum(), loud.dtype) == (72, np.float32)
    assert view.to_native(np.ones((12, 12), np.float32)).min() == 1


def test_a_crop_sees_the_middle_alone() -> None:
    view = Framing("crop", (16, 16)).view((40, 100))
    picture = picture_of((40, 100))
    np.testing.assert_array_equal(view.picture(picture), resize(np.ascontiguousarray(picture[:, 30:70]), (16, 16)))
    outside = np.ones((40, 100), np.bool_)
    outside[:, 30:70] = False
    assert not view.mask(outside).any()
    native = view.to_native(np.ones((16, 16), np.float32))
    np.testing.assert_array_equal(native == 0, outside)
    assert view.judged_share == 0.4


@settings(max_examples=100, deadline=None)
@given(view=views, seed=st.integers(0, 999), share=st.sampled_from([0.002, 0.05, 0.5, 0.98]))
def test_a_mask_keeps_its_area_where_it_is_seen(view: View, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random(view.native) < share
    x, y, width, height = view.source
    seen, small = mask[y : y + height, x : x + width], view.mask(mask)
    shown = view.target[2] * view.target[3]
    assert small.shape == view.working
    assert bool(small.any()) == bool(seen.any())
    assert abs(int(small.sum()) - float(seen.mean()) * shown) <= 1
    if view.judged is not None:
        assert not (small & ~view.judged).any()


@settings(max_examples=150, deadline=None)
@given(view=views, data=st.data())
def test_a_box_in_native_pixels_contains_what_was_drawn(view: View, data: st.DataObject) -> None:
    """A bright rectangle in the picture, found at working size, goes back to a box round it and not much more."""
    from diffusionad.scoring import find_regions

    (x, y, width, height), (tx, ty, shown_width, shown_height) = view.source, view.target
    left = data.draw(st.integers(x, x + width - 1))
    top = data.draw(st.integers(y, y + height - 1))
    right, bottom = data.draw(st.integers(left + 1, x + width)), data.draw(st.integers(top + 1, y + height))
    across, down = Fraction(width, shown_width), Fraction(height, shown_height)
    assume(right - left >= across and bottom - top >= down)
    picture = np.zeros((*view.native, 3), np.uint8)
    picture[top:bottom, left:right] = 255
    values = view.silenced(view.picture(picture)[..., 0].astype(np.float32) / 255)
    regions = find_regions(view.shown(values), 0.0, view.source_size)
    assert len(regions) == 1
    box = view.box_to_native(regions[0].box)
    assert box[0] <= left
    assert box[1] <= top
    assert box[0] + box[2] >= right
    assert box[1] + box[3] >= bottom
    # bilinear filters reach a working or a native pixel beyond, and boxes grow to whole pixels
    assert box[0] >= floor(left - 2 * across - 2)
    assert box[0] + box[2] <= ceil(right + 2 * across + 2)
    assert box[1] >= floor(top - 2 * down - 2)
    assert box[1] + box[3] <= ceil(bottom + 2 * down + 2)
    assert tx + shown_width <= view.working[1]
    assert ty + shown_height <= view.working[0]


def test_a_picture_of_another_size_is_refused() -> None:
    view = Framing("pad", (16, 16)).view((30, 40))
    with pytest.raises(UsageError, match="30, 40"):
        view.picture(picture_of((40, 30)))
    with pytest.raises(UsageError, match="30, 40"):
        view.mask(np.ones((16, 16), np.bool_))
    with pytest.raises(UsageError):
        Framing("crop", (16, 16)).view((0, 40))
