"""Folders become samples; what is not a sample, or not a layout, is told apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from diffusionad.data import describe_layouts, find_pictures, find_samples
from diffusionad.errors import DataError, LayoutError, UsageError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def listed(root: Path, **options: str) -> list[tuple[str, str, str, str | None]]:
    return [
        (
            str(sample.path.relative_to(root)),
            sample.split,
            sample.defect,
            str(sample.mask_path.relative_to(root)) if sample.mask_path else None,
        )
        for sample in find_samples(root, **options)
    ]


def mvtec(root: Path) -> None:
    touch(root, "train/good/1.png", "train/good/0.png", "test/good/0.png", "test/dent/0.png", "test/dent/1.JPG")
    touch(root, "test/dent/2.png", "ground_truth/dent/0_mask.png", "ground_truth/dent/1.png")


def test_mvtec_tree_is_listed_in_order_with_masks(tmp_path: Path) -> None:
    mvtec(tmp_path / "bottle")
    assert listed(tmp_path / "bottle") == [
        ("test/dent/0.png", "test", "dent", "ground_truth/dent/0_mask.png"),
        ("test/dent/1.JPG", "test", "dent", "ground_truth/dent/1.png"),
        ("test/dent/2.png", "test", "dent", None),
        ("test/good/0.png", "test", "good", None),
        ("train/good/0.png", "train", "good", None),
        ("train/good/1.png", "train", "good", None),
    ]
    assert {sample.category for sample in find_samples(tmp_path / "bottle")} == {"bottle"}


def test_folder_names_count_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "Train/Good/0.png", "Test/Dent/0.png", "Ground_Truth/dent/0_mask.png")
    assert listed(tmp_path) == [
        ("Test/Dent/0.png", "test", "Dent", "Ground_Truth/dent/0_mask.png"),
        ("Train/Good/0.png", "train", "good", None),
    ]


def test_train_is_only_the_direct_child_of_the_category(tmp_path: Path) -> None:
    root = tmp_path / "train" / "good" / "bottle_train"
    mvtec(root)
    touch(root, "test/train/0.png", "test/good/train/0.png", "extra/train/good/9.png")
    learned = [name for name, split, *_ in listed(root) if split == "train"]
    assert learned == ["train/good/0.png", "train/good/1.png"]


def test_several_categories_need_a_choice(tmp_path: Path) -> None:
    mvtec(tmp_path / "bottle")
    mvtec(tmp_path / "cable")
    with pytest.raises(LayoutError, match="bottle, cable"):
        find_samples(tmp_path)
    chosen = find_samples(tmp_path, category="cable")
    assert len(chosen) == 6
    assert {sample.category for sample in chosen} == {"cable"}
    with pytest.raises(UsageError, match="bottle, cable"):
        find_samples(tmp_path, category="screw")


def test_plain_folder_is_all_good_and_searched_recursively(tmp_path: Path) -> None:
    root = tmp_path / "parts"
    touch(root, "b.png", "monday/a.jpg", "monday/early/c.tiff")
    assert [(sample.category, sample.split, sample.defect) for sample in find_samples(root)] == [
        ("parts", "train", "good")
    ] * 3
    assert [name for name, *_ in listed(root)] == ["b.png", "monday/a.jpg", "monday/early/c.tiff"]


def test_good_beside_other_folders_makes_those_defects(tmp_path: Path) -> None:
    touch(tmp_path, "good/0.png", "bent pin/0.png", "bent pin/good/1.png")
    assert listed(tmp_path) == [
        ("bent pin/0.png", "test", "bent pin", None),
        ("bent pin/good/1.png", "test", "bent pin", None),
        ("good/0.png", "train", "good", None),
    ]


def test_folder_named_like_a_defect_is_never_learned(tmp_path: Path) -> None:
    touch(tmp_path, "0.png", "NG/1.png", "monday/defect/2.png", "monday/3.png")
    assert [(name, split) for name, split, *_ in listed(tmp_path)] == [
        ("0.png", "train"),
        ("NG/1.png", "test"),
        ("monday/3.png", "train"),
        ("monday/defect/2.png", "test"),
    ]


def test_picture_beside_the_good_folder_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "good/0.png", "stray.png")
    with pytest.raises(LayoutError, match=r"stray\.png"):
        find_samples(tmp_path)


@pytest.mark.parametrize("test_folder", ["test", "line/test"])
def test_split_data_set_of_another_layout_is_not_learned_as_good(tmp_path: Path, test_folder: str) -> None:
    touch(tmp_path, f"{test_folder}/dent/0.png", "pictures/0.png")
    with pytest.raises(LayoutError, match="expected") as caught:
        find_samples(tmp_path)
    assert "pictures/" in str(caught.value)
    assert "train/good" in str(caught.value)


def test_what_is_no_picture_is_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/0.png", "train/good/Thumbs.db", "train/good/.DS_Store", "train/good/.hidden.png")
    touch(tmp_path, "train/good/notes.txt", "test/.cache/0.png", "train/good/.trash/1.png")
    assert [name for name, *_ in listed(tmp_path)] == ["train/good/0.png"]


def test_links_out_of_the_root_and_loops_are_skipped(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(tmp_path, "outside/secret.png", "root/train/good/0.png", "root/stock/1.png")
    good = root / "train" / "good"
    (good / "out.png").symlink_to(tmp_path / "outside" / "secret.png")
    (good / "out_folder").symlink_to(tmp_path / "outside")
    (good / "loop").symlink_to(root)
    (good / "broken.png").symlink_to(root / "nothing.png")
    (good / "in.png").symlink_to(root / "stock" / "1.png")
    (root / "test").symlink_to(tmp_path / "outside")
    assert [name for name, *_ in listed(root)] == ["train/good/0.png", "train/good/in.png"]


def test_missing_file_and_empty_roots(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_samples(tmp_path / "nowhere")
    touch(tmp_path, "file.png")
    with pytest.raises(DataError, match="is a file"):
        find_samples(tmp_path / "file.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds nothing"):
        find_samples(tmp_path / "empty")
    touch(tmp_path, "half/train/good/readme.txt")
    with pytest.raises(DataError, match="No good picture"):
        find_samples(tmp_path / "half")


def test_unknown_or_wrong_layout(tmp_path: Path) -> None:
    touch(tmp_path, "0.png")
    with pytest.raises(UsageError, match="auto, folder, mvtec"):
        find_samples(tmp_path, layout="visa")
    with pytest.raises(LayoutError, match="train/good"):
        find_samples(tmp_path, layout="mvtec")
    with pytest.raises(UsageError, match="known ones"):
        find_samples(tmp_path, category="cable")


def test_help_names_every_layout() -> None:
    text = describe_layouts()
    assert "mvtec\n" in text
    assert "folder\n" in text
    assert "ground_truth" in text


def test_odd_names_become_samples(tmp_path: Path) -> None:
    names = ["train/good/größe 漢字.png", "train/good/two\nlines.png", "test/a b/x.y.png"]
    touch(tmp_path, *names, "ground_truth/a b/x.y_mask.png")
    assert listed(tmp_path) == [
        ("test/a b/x.y.png", "test", "a b", "ground_truth/a b/x.y_mask.png"),
        ("train/good/größe 漢字.png", "train", "good", None),
        ("train/good/two\nlines.png", "train", "good", None),
    ]


def test_pictures_from_files_folders_and_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "a/2.png", "a/1.jpg", "a/b/0.png", "a/x.txt", "c/9.png", "c/8.png", "odd.raw", "p[1].png")
    found = find_pictures([tmp_path / "odd.raw", str(tmp_path / "a"), f"{tmp_path}/c/*", tmp_path / "p[1].png"])
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["odd.raw", "a/1.jpg", "a/2.png", "a/b/0.png", "c/8.png", "c/9.png", "p[1].png"]
    deep = [str(path.relative_to(tmp_path)) for path in find_pictures([f"{tmp_path}/a/**"])]
    assert deep == ["a/1.jpg", "a/2.png", "a/b/0.png"]


def test_missing_path_is_told_before_any_work(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    for missing in (tmp_path / "b.png", f"{tmp_path}/*.jpg"):
        with pytest.raises(UsageError, match="does not exist"):
            find_pictures([tmp_path / "a.png", missing])


def test_pictures_are_found_lazily(tmp_path: Path) -> None:
    touch(tmp_path, "a/0.png", "b/0.png")
    found = find_pictures([tmp_path])
    assert next(found).parent.name == "a"
    touch(tmp_path, "b/1.png")  # b was not looked into yet
    assert len(list(itertools.islice(found, 5))) == 2
