"""Laws of the one resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusionad.data import resize, resize_map, resize_mask
from diffusionad.errors import UsageError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (90, 61, 3), dtype=np.uint8)
SIZES = st.tuples(st.integers(1, 120), st.integers(1, 120))


def test_same_size_is_identity() -> None:
    assert resize(PICTURE, (90, 61)) is PICTURE
    values = RNG.random((9, 7), dtype=np.float32)
    np.testing.assert_array_equal(resize_map(values, (9, 7)), values)
    np.testing.assert_array_equal(resize_mask(values > 0.5, (9, 7)), values > 0.5)


@settings(max_examples=30, deadline=None)
@given(size=SIZES, level=st.integers(0, 255))
def test_constant_stays_constant(size: tuple[int, int], level: int) -> None:
    flat = np.full((90, 61, 3), level, dtype=np.uint8)
    shrunk, deep = resize(flat, size), resize(flat.astype(np.uint16) * 257, size)
    assert shrunk.shape == deep.shape == (*size, 3)
    assert (shrunk.dtype, deep.dtype) == (np.uint8, np.uint16)
    assert np.all(shrunk == level)
    assert np.all(deep == level * 257)
    np.testing.assert_allclose(resize_map(flat[..., 0].astype(np.float32), size), level, rtol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (45, 61), (128, 100)])
def test_sixteen_bits_agree_with_eight_within_rounding(size: tuple[int, int]) -> None:
    deep = resize(PICTURE.astype(np.uint16) * 257, size).astype(int)
    assert np.abs(deep - resize(PICTURE, size).astype(int) * 257).max() <= 257


@settings(max_examples=40, deadline=None)
@given(size=SIZES, channels=st.integers(1, 6), deep=st.booleans(), seed=st.integers(0, 99))
def test_channels_are_resized_each_for_itself(size: tuple[int, int], channels: int, deep: bool, seed: int) -> None:
    kind = np.uint16 if deep else np.uint8
    picture = np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (20, 27, channels), dtype=kind)
    resized = resize(picture, size)
    assert (resized.shape, resized.dtype) == ((*size, channels), kind)
    for channel in range(channels):
        alone = resize(np.repeat(picture[:, :, channel, None], 3, axis=2), size)
        np.testing.assert_array_equal(resized[:, :, channel], alone[:, :, 0])


def test_sixteen_bits_reach_both_ends_without_wrapping() -> None:
    steps = np.zeros((64, 64, 3), dtype=np.uint16)
    steps[:, 32:] = 65535
    shrunk = resize(steps, (16, 16))
    assert (shrunk.min(), shrunk.max()) == (0, 65535)
    assert np.all(np.diff(shrunk[8, :, 0].astype(int)) >= 0)


def test_shrinking_uses_every_source_pixel() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::8] = 200  # mean 25; without antialiasing a stripe is hit or missed
    assert np.abs(resize(stripes, (8, 8))[1:-1, 1:-1].astype(int) - 25).max() <= 3


def test_map_follows_a_ramp_and_keeps_its_range() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    grown = resize_map(ramp, (64, 256))
    assert grown.dtype == np.float32
    np.testing.assert_allclose(grown[10, 8:-8], (np.arange(256)[8:-8] + 0.5) / 256 * 64 / 63 - 0.5 / 63, atol=1e-3)
    assert grown.min() >= 0
    assert grown.max() <= 1


@settings(max_examples=60, deadline=None)
@given(size=SIZES, seed=st.integers(0, 1000), share=st.sampled_from([0.002, 0.05, 0.5, 0.98]))
def test_mask_keeps_its_area_and_never_vanishes(size: tuple[int, int], seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((53, 80)) < share
    shrunk = resize_mask(mask, size)
    assert shrunk.shape == size
    assert shrunk.dtype == np.bool_
    if mask.any():
        assert shrunk.any()
        assert abs(int(shrunk.sum()) - mask.mean() * shrunk.size) <= 1
    else:
        assert not shrunk.any()


def test_mask_stays_in_place() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[20:40, 50:90] = True
    expected = np.zeros((50, 50), dtype=bool)
    expected[10:20, 25:45] = True
    np.testing.assert_array_equal(resize_mask(mask, (50, 50)), expected)
    np.testing.assert_array_equal(resize_mask(expected, (100, 100)), mask)


def test_thin_scratch_survives_along_its_whole_length() -> None:
    mask = np.zeros((1024, 1024), dtype=bool)
    mask[100:900, 511:514] = True
    shrunk = resize_mask(mask, (256, 256))
    rows = np.flatnonzero(shrunk.any(axis=1))
    assert abs(int(shrunk.sum()) - 800 * 3 / 16) <= 1
    assert rows[0] <= 27
    assert rows[-1] >= 222
    assert np.diff(rows).max() <= 3
    assert set(np.flatnonzero(shrunk.any(axis=0))) <= {127, 128}


def test_one_pixel_survives_a_strong_reduction() -> None:
    mask = np.zeros((1000, 1000), dtype=bool)
    mask[700, 300] = True
    assert np.argwhere(resize_mask(mask, (64, 64))).tolist() == [[44, 19]]


def test_wrong_shapes_and_sizes_are_usage_errors() -> None:
    for picture in (PICTURE[..., 0], PICTURE[..., :0], PICTURE.astype(np.float32)):
        with pytest.raises(UsageError):
            resize(picture, (8, 8))
    for call, values in (
        (resize, PICTURE),
        (resize_map, np.ones((4, 4), np.float32)),
        (resize_mask, PICTURE[..., 0] > 0),
    ):
        with pytest.raises(UsageError):
            call(values, (0, 8))
    with pytest.raises(UsageError):
        resize_mask(np.ones((3, 4, 5), dtype=bool), (2, 2))
