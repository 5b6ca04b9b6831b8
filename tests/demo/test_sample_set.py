"""The sample set: repeatable, complete, and its masks say where the damage is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from diffusionad import demo
from diffusionad.demo.sample_set import DEFECTS, _write, draw_defective, draw_good, write_sample_set
from diffusionad.errors import UsageError

SIZE = 64


def pixels(path: Path) -> np.ndarray:
    with PillowImage.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("set")
    return _write(root, 0, SIZE, train=3, test=2, defective=4)


def test_the_layout_is_complete(small_set: Path) -> None:
    found = {path.relative_to(small_set).as_posix() for path in small_set.rglob("*") if path.is_file()}
    wanted = {f"train/good/{i:03d}.png" for i in range(3)} | {f"test/good/{i:03d}.png" for i in range(2)}
    for kind in DEFECTS:
        wanted |= {f"test/{kind}/{i:03d}.png" for i in range(4)}
        wanted |= {f"ground_truth/{kind}/{i:03d}_mask.png" for i in range(4)}
    assert found == wanted
    assert len(DEFECTS) >= 4


def test_pictures_are_rgb_and_masks_binary_of_the_same_size(small_set: Path) -> None:
    for path in small_set.rglob("*.png"):
        found = pixels(path)
        assert found.dtype == np.uint8
        if path.stem.endswith("_mask"):
            assert found.shape == (SIZE, SIZE)
            assert set(np.unique(found)) == {0, 255}
        else:
            assert found.shape == (SIZE, SIZE, 3)


def test_files_hold_what_is_drawn_one_by_one(small_set: Path) -> None:
    assert np.array_equal(pixels(small_set / "train" / "good" / "002.png"), draw_good("train", 2, size=SIZE))
    drawn = draw_defective("stain", 3, size=SIZE)
    assert np.array_equal(pixels(small_set / "test" / "stain" / "003.png"), drawn.picture)
    assert np.array_equal(pixels(small_set / "ground_truth" / "stain" / "003_mask.png") > 0, drawn.true_mask)


def test_a_seed_repeats_and_another_differs() -> None:
    first, again, other = (draw_good("test", 1, seed, SIZE) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(draw_defective("dent", 0, 5, SIZE).picture, draw_defective("dent", 0, 5, SIZE).picture)


def test_good_pictures_vary_and_no_split_repeats_another() -> None:
    drawn = [draw_good(split, index, size=SIZE) for split in ("train", "test") for index in range(4)]
    for place, picture in enumerate(drawn):
        for other in drawn[place + 1 :]:
            assert np.abs(picture.astype(float) - other).mean() > 2
    brightness = [picture.mean() for picture in drawn]
    assert max(brightness) - min(brightness) > 5
    assert all(60 < value < 190 for value in brightness)


@pytest.mark.parametrize("kind", sorted(DEFECTS))
@pytest.mark.parametrize("index", [0, 3])
def test_the_mask_lies_where_the_twin_differs(kind: str, index: int) -> None:
    drawn = draw_defective(kind, index, seed=2, size=128)
    change = np.abs(drawn.picture.astype(float) - drawn.clean).mean(axis=2)
    inside, outside = change[drawn.true_mask], change[~drawn.true_mask]
    assert 0.0005 <= drawn.true_mask.mean() <= 0.06
    assert inside.mean() > 6
    assert inside.mean() > 20 * outside.mean()
    # A chip lets light through: the belt beside it changes too, and is not part of the damage.
    assert (outside > 16).mean() < 0.004


def test_the_subtle_tenth_is_fainter() -> None:
    def contrast(index: int) -> float:
        drawn = draw_defective("stain", index, size=SIZE)
        return float(np.abs(drawn.picture.astype(float) - drawn.clean)[drawn.true_mask].mean())

    assert contrast(3) < np.median([contrast(index) for index in range(10)])


@pytest.mark.parametrize(("seed", "size"), [(-1, 64), (0, 31)])
def test_impossible_wishes_are_refused(seed: int, size: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must be 0 or more|at least 32"):
        write_sample_set(tmp_path, seed, size)
    assert not list(tmp_path.iterdir())


def test_an_unknown_defect_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="chip, dent, misprint, scratch, stain"):
        draw_defective("rust", 0)


def test_what_is_public_is_sorted() -> None:
    assert demo.__all__ == sorted(demo.__all__)
    assert all(hasattr(demo, name) for name in demo.__all__)
