"""The object is found where it was drawn; a texture is taken whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad.data import Foreground, find_foreground, foreground_from_folder, whole_foreground
from diffusionad.errors import DataError, TooFewPicturesError, UsageError
from diffusionad.structures import Sample

SIZE = (96, 96)


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(rows - y, columns - x) <= radius


def part(seed: int, *, radius: float = 26, light: int = 0, background: int = 180) -> tuple[np.ndarray, np.ndarray]:
    """A dark ring with a hole of background colour in it, somewhere near the centre, on a noisy table."""
    rng = np.random.default_rng(seed)
    y, x = 48 + rng.integers(-8, 9, 2)
    truth = disc(y, x, radius)
    picture = background + light + rng.normal(0, 4, (*SIZE, 3))
    picture[truth] = rng.normal((70, 40, 30), 15, (int(truth.sum()), 3))
    picture[disc(y, x, radius / 3)] = background + light
    return np.clip(picture, 0, 255).astype(np.uint8), truth


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def learned() -> Foreground:
    return find_foreground([part(seed)[0] for seed in range(12)])


def test_object_is_found_with_its_hole_filled() -> None:
    foreground = learned()
    assert foreground.kind == "object"
    for seed in range(100, 110):
        picture, truth = part(seed, light=int(seed % 5) * 4)
        found = foreground.mask_of(picture)
        assert found.dtype == np.bool_
        assert overlap(found, truth) > 0.8
        assert not np.any(truth & ~found), "the object is covered whole"


def test_texture_is_taken_whole() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(60, 200, (*SIZE, 3), dtype=np.uint8) for _ in range(5)]
    foreground = find_foreground(pictures)
    assert foreground.kind == "texture"
    assert foreground.mask_of(pictures[0]).all()


def test_fine_texture_and_blank_pictures_are_no_objects() -> None:
    rng = np.random.default_rng(0)
    fine = [np.clip(rng.normal(120, 3, (*SIZE, 3)), 0, 255).astype(np.uint8) for _ in range(5)]
    assert find_foreground(fine).kind == "texture"
    assert find_foreground([np.zeros((*SIZE, 3), dtype=np.uint8)] * 3).kind == "texture"


def test_backgrounds_that_differ_between_pictures_are_texture() -> None:
    pictures = [part(seed, background=level)[0] for seed, level in enumerate((60, 100, 140, 180, 220, 250))]
    assert find_foreground(pictures).kind == "texture"


def test_implausible_mask_falls_back_to_the_mean() -> None:
    foreground = learned()
    for odd in (part(1, radius=5)[0], np.full((*SIZE, 3), 20, np.uint8), np.full((*SIZE, 3), 180, np.uint8)):
        np.testing.assert_array_equal(foreground.mask_of(odd), foreground.mean_mask)
    assert overlap(foreground.mean_mask, disc(48, 48, 28)) > 0.7


def test_crumbs_beside_the_object_are_left_out() -> None:
    foreground = learned()
    picture, _ = part(200)
    picture[4:9, 4:9] = 0
    assert not foreground.mask_of(picture)[:10, :10].any()


def test_sixteen_bits_give_the_mask_of_eight() -> None:
    pictures = [part(seed)[0] for seed in range(6)]
    deep = [picture.astype(np.uint16) * 16 for picture in pictures]  # 12 bits in 16
    shallow, found = find_foreground(pictures), find_foreground(deep)
    assert found.kind == "object"
    assert overlap(found.mask_of(deep[0]), shallow.mask_of(pictures[0])) > 0.95


def test_same_pictures_give_the_same_answer_whatever_their_number() -> None:
    pictures = [part(seed)[0] for seed in range(60)]
    first, again = find_foreground(pictures), find_foreground(pictures)
    np.testing.assert_array_equal(first.mean_mask, again.mean_mask)
    assert (first.area, first.background, first.distance) == (again.area, again.background, again.distance)


def test_refusals() -> None:
    with pytest.raises(TooFewPicturesError):
        find_foreground([])
    with pytest.raises(UsageError, match="differ in size"):
        find_foreground([np.zeros((16, 16, 3), np.uint8), np.zeros((16, 17, 3), np.uint8)])
    with pytest.raises(UsageError):
        learned().mask_of(np.zeros((16, 16, 3), np.uint8))


def test_whole_is_everything() -> None:
    foreground = whole_foreground((8, 9))
    assert foreground.mask_of(np.zeros((8, 9, 3), np.uint8)).shape == (8, 9)
    assert foreground.mask_of(np.zeros((8, 9, 3), np.uint8)).all()


def drawn_masks(root: Path) -> tuple[Path, list[Sample]]:
    masks = root / "masks"
    masks.mkdir()
    samples = []
    for stem, name in (("a", "a.png"), ("b", "b_mask.png")):
        picture, truth = part(ord(stem))
        Image.fromarray(picture).save(root / f"{stem}.jpg")
        Image.fromarray(truth).save(masks / name)
        samples.append(Sample(root / f"{stem}.jpg", "train", "part", "good"))
    return masks, samples


def test_drawn_masks_are_matched_by_stem_and_resized(tmp_path: Path) -> None:
    masks, samples = drawn_masks(tmp_path)
    found = foreground_from_folder(masks, samples[::-1], (48, 48))
    for mask, stem in zip(found, "ba", strict=True):
        assert mask.shape == (48, 48)
        assert overlap(mask, part(ord(stem))[1][::2, ::2]) > 0.9


def test_drawn_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    masks, samples = drawn_masks(tmp_path)
    stranger = Sample(tmp_path / "c.jpg", "train", "part", "good")
    with pytest.raises(DataError, match=r"c\.jpg"):
        foreground_from_folder(masks, [*samples, stranger], SIZE)
    with pytest.raises(DataError, match="does not exist"):
        foreground_from_folder(tmp_path / "nowhere", samples, SIZE)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(masks / "a.png")
    with pytest.raises(DataError, match="is empty"):
        foreground_from_folder(masks, samples, SIZE)
    Image.fromarray(np.ones((20, 20), np.uint8)).save(masks / "a.png")
    with pytest.raises(DataError, match="20 x 20"):
        foreground_from_folder(masks, samples, SIZE)
    Image.fromarray(np.ones(SIZE, np.uint8)).save(masks / "a.bmp")
    with pytest.raises(DataError, match="one stem"):
        foreground_from_folder(masks, samples, SIZE)
