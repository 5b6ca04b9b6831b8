"""Laws that every kind of synthetic defect keeps."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from diffusionad.config import Kind, resolve
from diffusionad.structures import Image
from diffusionad.synthesis import DEFECTS, Textures
from diffusionad.synthesis.defects import Defect

NOTHING = Textures(())


def part(size: tuple[int, int] = (48, 64)) -> Image:
    """A striped disc on a dark ground: has structure, edges and plain areas."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    inside = (y - size[0] / 2) ** 2 + (x - size[1] / 2) ** 2 < (min(size) / 2.5) ** 2
    grey = np.where(inside, 0.3 + 0.4 * np.sin(x / 3), -0.8)
    return np.stack([grey, 0.8 * grey, 0.5 * grey]).astype(np.float32)


def made(kind: str, seed: int, image: Image) -> Defect:
    return DEFECTS[kind](np.random.default_rng(seed), image, NOTHING)


def test_settings_and_table_name_the_same_kinds() -> None:
    assert set(get_args(Kind)) == set(DEFECTS)
    assert set(resolve().synthesis.kinds) == set(DEFECTS)
    assert set(resolve("journal").synthesis.kinds) == {"texture", "rearranged"}


@pytest.mark.parametrize("size", [(48, 64), (32, 32)])
@pytest.mark.parametrize("kind", DEFECTS)
def test_content_is_an_image_and_cover_a_share(kind: str, size: tuple[int, int]) -> None:
    image = part(size)
    before = image.copy()
    for seed in range(15):
        defect = made(kind, seed, image)
        assert defect.content.shape == image.shape
        assert defect.content.dtype == np.float32
        assert np.isfinite(defect.content).all()
        assert np.abs(defect.content).max() <= 1.0
        assert defect.cover.shape == size
        assert defect.cover.dtype == np.float32
        assert defect.cover.min() >= 0
        assert defect.cover.max() <= 1
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_generator_decides_all(kind: str) -> None:
    image = part()
    one, same, other = (made(kind, seed, image) for seed in (2, 2, 3))
    np.testing.assert_array_equal(one.content, same.content)
    np.testing.assert_array_equal(one.cover, same.cover)
    assert one.opaque == same.opaque
    assert not np.array_equal(one.cover, other.cover)


@pytest.mark.parametrize("kind", DEFECTS)
def test_covers_are_rarely_empty_and_never_most_of_the_picture(kind: str) -> None:
    areas = np.array([(made(kind, seed, part()).cover > 0.3).mean() for seed in range(30)])
    assert (areas > 0).mean() > 0.6
    assert np.median(areas) < 0.15


@pytest.mark.parametrize("kind", ["rearranged", "patch", "warp"])
def test_structural_kinds_take_their_content_from_the_picture(kind: str) -> None:
    """On a picture of one colour they find nothing else; `rearranged` recolours all pixels alike but for a rotation."""
    flat = np.full((3, 48, 64), 0.25, dtype=np.float32)
    for seed in range(8):
        levels = np.unique(made(kind, seed, flat).content.reshape(3, -1), axis=1).shape[1]
        if kind == "rearranged":
            assert levels < 200  # of 3072
        else:
            assert levels == 1


def test_patch_moves_pixels_without_changing_them() -> None:
    image = part()
    for seed in range(8):
        content = made("patch", seed, image).content
        assert not np.array_equal(content, image)
        np.testing.assert_array_equal(np.sort(content, axis=None), np.sort(image, axis=None))


def test_smear_loses_structure() -> None:
    def variation(image: Image) -> float:
        return float(sum(np.abs(np.diff(image, axis=axis)).sum() for axis in (1, 2)))

    image = part()
    left = [variation(made("smear", seed, image).content) / variation(image) for seed in range(20)]
    assert max(left) <= 1.01  # bytes are rounded
    assert np.median(left) < 0.95


def test_scratches_are_thin_and_tones_are_soft() -> None:
    for seed in range(10):
        scratch = made("scratch", seed, part((64, 64))).cover
        if (scratch > 0.3).any():
            # the widest pen is 0.02 * (64 + 64) pixels on a canvas of twice the size: no 6 x 6 block is filled by one
            # stroke, though strokes that curl up may fill a few
            filled = np.lib.stride_tricks.sliding_window_view(scratch > 0.3, (6, 6)).all(axis=(2, 3)).mean()
            assert filled < 0.05
        tone = made("tone", seed, part((64, 64))).cover
        soft = (tone > 0.02) & (tone < 0.98)
        assert soft.sum() > 0.1 * (tone > 0.02).sum()
