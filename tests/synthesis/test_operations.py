"""Laws of the operations that fill defects."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from diffusionad.synthesis.operations import OPERATIONS, augment, rearrange
from diffusionad.synthesis.textures import Textures, draw_texture

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
GREY_RAMP = np.repeat(np.linspace(40, 200, 48 * 40).astype(np.uint8).reshape(48, 40, 1), 3, axis=2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_the_shape_and_changes_the_picture(name: str) -> None:
    before = PICTURE.copy()
    changed = np.asarray(OPERATIONS[name](rng(3), Image.fromarray(PICTURE // 2 + 30)))
    assert changed.shape == PICTURE.shape
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - (PICTURE // 2 + 30)).mean() > 1
    np.testing.assert_array_equal(PICTURE, before)
    again = np.asarray(OPERATIONS[name](rng(3), Image.fromarray(PICTURE // 2 + 30)))
    np.testing.assert_array_equal(again, changed)


def test_gamma_and_hue_keep_the_ends_and_the_order_of_grey() -> None:
    ends = np.repeat(np.array([[[0], [255]]], dtype=np.uint8), 3, axis=2)
    for seed in range(5):
        curved = np.asarray(OPERATIONS["gamma"](rng(seed), Image.fromarray(GREY_RAMP)))[..., 0].ravel()
        assert np.all(np.diff(curved.astype(int)) >= 0)
        assert np.asarray(OPERATIONS["gamma"](rng(seed), Image.fromarray(ends)))[0, :, 1].tolist() == [0, 255]
        turned = np.asarray(OPERATIONS["hue"](rng(seed), Image.fromarray(GREY_RAMP)))
        np.testing.assert_array_equal(turned, GREY_RAMP)  # grey has no hue


def test_augment_applies_different_operations_that_the_generator_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    for name, operation in list(OPERATIONS.items()):

        def spy(chance, picture, name=name, operation=operation):
            used.append(name)
            return operation(chance, picture)

        monkeypatch.setitem(OPERATIONS, name, spy)
    chosen = set()
    for seed in range(60):
        used.clear()
        changed = augment(rng(seed), PICTURE)
        assert changed.shape == PICTURE.shape
        assert len(used) == len(set(used)) == 3
        chosen.update(used)
    assert chosen == set(OPERATIONS)
    np.testing.assert_array_equal(augment(rng(4), PICTURE), augment(rng(4), PICTURE))


def test_rearranging_lays_every_tile_once() -> None:
    grid = 8
    picture = np.arange(48 * 40, dtype=np.uint16).reshape(48, 40, 1)
    laid = rearrange(rng(), picture, grid)
    np.testing.assert_array_equal(np.sort(laid, axis=None), np.sort(picture, axis=None))
    assert not np.array_equal(laid, picture)
    tiles = {picture[y : y + 6, x : x + 5].tobytes() for y in range(0, 48, 6) for x in range(0, 40, 5)}
    found = {laid[y : y + 6, x : x + 5].tobytes() for y in range(0, 48, 6) for x in range(0, 40, 5)}
    assert found == tiles


def test_rearranging_leaves_the_rest_of_an_uneven_picture_and_too_small_ones() -> None:
    picture = PICTURE[:45, :35]
    before = picture.copy()
    laid = rearrange(rng(), picture)
    np.testing.assert_array_equal(laid[40:], picture[40:])
    np.testing.assert_array_equal(laid[:, 32:], picture[:, 32:])
    np.testing.assert_array_equal(np.sort(laid, axis=None), np.sort(picture, axis=None))
    np.testing.assert_array_equal(picture, before)
    small = PICTURE[:7, :30]
    np.testing.assert_array_equal(rearrange(rng(), small), small)


@pytest.mark.parametrize("size", [(33, 47), (8, 64)])
def test_drawn_textures_have_structure_and_differ(size: tuple[int, int]) -> None:
    drawn = [draw_texture(rng(seed), size) for seed in range(20)]
    for texture in drawn:
        assert texture.shape == (*size, 3)
        assert texture.dtype == np.uint8
        assert texture.std() > 1
    assert len({texture.tobytes() for texture in drawn}) == 20
    np.testing.assert_array_equal(draw_texture(rng(3), size), drawn[3])


def test_given_textures_are_cut_from_their_pictures() -> None:
    red, blue = np.zeros((60, 90, 3), dtype=np.uint8), np.zeros((8, 8, 3), dtype=np.uint8)
    red[..., 0], blue[..., 2] = 200, 100
    supply, colours = Textures([red, blue]), set()
    for seed in range(20):
        texture = supply.draw(rng(seed), (33, 47))
        assert texture.shape == (33, 47, 3)
        assert np.all(texture == texture[0, 0])
        colours.add(tuple(texture[0, 0].tolist()))
    assert colours == {(200, 0, 0), (0, 0, 100)}
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    cuts = {Textures([ramp]).draw(rng(seed), (16, 16)).tobytes() for seed in range(10)}
    assert len(cuts) == 10
