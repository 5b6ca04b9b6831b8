"""Laws of the one border between pictures and images."""

from __future__ import annotations

import numpy as np
import pytest

from diffusionad.tensors import to_image, to_picture

LEVELS = np.arange(256, dtype=np.uint8)


def test_all_256_levels_come_back() -> None:
    picture = np.stack([LEVELS, LEVELS[::-1], np.roll(LEVELS, 7)], axis=-1).reshape(16, 16, 3)
    np.testing.assert_array_equal(to_picture(to_image(picture)), picture)


def test_all_256_levels_come_back_from_sixteen_bits() -> None:
    deep = np.repeat(LEVELS.astype(np.uint16)[:, None, None] * 257, 3, axis=2)
    np.testing.assert_array_equal(to_picture(to_image(deep))[:, 0, 0], LEVELS)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_range_of_the_type_is_minus_one_to_one(dtype: type[np.unsignedinteger]) -> None:
    ends = np.array([0, np.iinfo(dtype).max], dtype=dtype).reshape(1, 2, 1)
    assert to_image(np.repeat(ends, 3, axis=2))[0, 0].tolist() == [-1.0, 1.0]


def test_sixteen_bits_keep_all_their_levels() -> None:
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    image = to_image(deep).ravel()
    np.testing.assert_allclose(image, np.arange(65536) / 32767.5 - 1, atol=1e-7)
    assert np.all(np.diff(image) > 0)


def test_axes_move_and_nothing_else() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = to_image(picture[:, ::-1])
    assert image.shape == (3, 5, 7)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert image[2, 4, 1] == pytest.approx(picture[4, 5, 2] / 127.5 - 1, abs=1e-6)
    assert to_picture(image).flags.c_contiguous


def test_images_beyond_the_range_are_clamped_not_wrapped() -> None:
    image = np.array([-3.0, -1.001, 1.001, 3.0], dtype=np.float32).reshape(1, 1, 4)
    assert to_picture(image).ravel().tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 3), dtype=np.int64),
        np.zeros((4, 4, 3), dtype=np.bool_),
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((1, 4, 4, 3), dtype=np.uint8),
    ],
)
def test_what_is_not_a_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(TypeError, match="HWC"):
        to_image(wrong)
