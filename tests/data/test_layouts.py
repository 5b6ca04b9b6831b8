"""Folders become samples; what is not a sample, or not a layout, is told apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad.data import (
    DATA_SETS,
    describe_layouts,
    find_pictures,
    find_samples,
    layout_trees,
    layouts,
    recognise,
)
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
    with pytest.raises(UsageError, match="auto, btad, dagm, folder, kolektor, manifest, mvtec, visa"):
        find_samples(tmp_path, layout="coco")
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


def draw(path: Path, level: int = 0, side: int = 8) -> None:
    """A real little picture of one grey level, with one brighter pixel when `level` is above 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.zeros((side, side), np.uint8)
    levels[2, 3] = level
    Image.fromarray(levels).save(path)


def visa(root: Path) -> None:
    touch(root, "candle/Data/Images/Normal/0.JPG", "candle/Data/Images/Normal/1.JPG", "pcb1/Data/Images/Normal/0.JPG")
    touch(root, "candle/Data/Images/Anomaly/000.JPG", "candle/Data/Masks/Anomaly/000.png", "pcb1/readme.png")
    lines = ["object,split,label,image,mask", "candle,train,normal,candle/Data/Images/Normal/0.JPG,"]
    lines += ["candle,test,normal,candle/Data/Images/Normal/1.JPG,", "pcb1,train,normal,pcb1/Data/Images/Normal/0.JPG,"]
    lines += ["candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png"]
    touch(root, "split_csv/1cls.csv", "split_csv/2cls_fewshot.csv")
    (root / "split_csv" / "1cls.csv").write_text("\n".join(lines))


def dagm(root: Path) -> None:
    touch(root, "Train/0001.PNG", "Train/0002.PNG", "Train/Label/0002_label.PNG", "Train/Label/Labels.txt")
    touch(root, "Test/0003.PNG", "Test/0004.PNG", "Test/Label/0004_label.PNG")


def btad(root: Path) -> None:
    touch(root, "train/ok/0000.bmp", "test/ok/0001.bmp", "test/ko/0002.bmp", "test/ko/0003.png")
    touch(root, "ground_truth/ko/0002.png", "ground_truth/ko/0003.bmp")


def kolektor(root: Path) -> None:
    for item, part, level in [(1, 0, 0), (1, 1, 255), (2, 0, 0), (3, 0, 0), (3, 1, 1)]:
        touch(root, f"kos{item:02d}/Part{part}.jpg")
        draw(root / f"kos{item:02d}" / f"Part{part}_label.bmp", level)


def kolektor2(root: Path) -> None:
    for name, level in [("train/10000", 0), ("train/10001", 255), ("test/20000", 0), ("test/20001", 255)]:
        touch(root, f"{name}.png")
        draw(root / f"{name}_GT.png", level)


def test_visa_is_read_by_its_table(tmp_path: Path) -> None:
    visa(tmp_path)
    images = "candle/Data/Images"
    assert listed(tmp_path, category="candle") == [
        (f"{images}/Anomaly/000.JPG", "test", "anomaly", "candle/Data/Masks/Anomaly/000.png"),
        (f"{images}/Normal/0.JPG", "train", "good", None),
        (f"{images}/Normal/1.JPG", "test", "good", None),
    ]
    assert listed(tmp_path, category="pcb1") == [("pcb1/Data/Images/Normal/0.JPG", "train", "good", None)]


@pytest.mark.parametrize("image", ["candle/lost.JPG", "../outside.JPG", "candle/link.JPG", "candle/\0.JPG", "x" * 300])
def test_visa_refuses_files_that_are_missing_or_outside(tmp_path: Path, image: str) -> None:
    root = tmp_path / "visa"
    visa(root)
    touch(tmp_path, "outside.JPG")
    (root / "candle" / "link.JPG").symlink_to(tmp_path / "outside.JPG")
    with (root / "split_csv" / "1cls.csv").open("a") as stream:
        stream.write(f"\ncandle,train,normal,{image},\n")
    with pytest.raises(DataError, match="line 6"):
        find_samples(root, category="candle")
    assert len(find_samples(root, category="pcb1")) == 1  # another category needs no file of this one


def test_rearranged_visa_and_dagm_are_mvtec_and_not_ambiguous(tmp_path: Path) -> None:
    touch(tmp_path, "visa/candle/train/good/0.JPG", "visa/candle/test/good/1.JPG", "visa/candle/test/bad/2.JPG")
    touch(tmp_path, "visa/candle/ground_truth/bad/2.png")
    assert recognise(tmp_path / "visa").layout == "mvtec"
    assert listed(tmp_path / "visa")[0] == ("candle/test/bad/2.JPG", "test", "bad", "candle/ground_truth/bad/2.png")
    touch(tmp_path, "dagm/Class1/train/good/0.PNG", "dagm/Class1/test/defect/1.PNG", "dagm/Class1/test/good/2.PNG")
    touch(tmp_path, "dagm/Class1/ground_truth/defect/1_label.PNG")
    assert listed(tmp_path / "dagm")[0][3] == "Class1/ground_truth/defect/1_label.PNG"


def test_dagm_learns_from_defect_free_pictures_only(tmp_path: Path) -> None:
    dagm(tmp_path / "Class1")
    assert listed(tmp_path / "Class1") == [
        ("Test/0003.PNG", "test", "good", None),
        ("Test/0004.PNG", "test", "defect", "Test/Label/0004_label.PNG"),
        ("Train/0001.PNG", "train", "good", None),
    ]


def test_btad_has_ok_and_ko(tmp_path: Path) -> None:
    btad(tmp_path / "01")
    assert listed(tmp_path / "01") == [
        ("test/ko/0002.bmp", "test", "ko", "ground_truth/ko/0002.png"),
        ("test/ko/0003.png", "test", "ko", "ground_truth/ko/0003.bmp"),
        ("test/ok/0001.bmp", "test", "good", None),
        ("train/ok/0000.bmp", "train", "good", None),
    ]


def test_kolektor_learns_from_the_first_half_of_the_items(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kolektor(tmp_path)
    touch(tmp_path, "kos01/Part7.jpg")
    assert listed(tmp_path) == [
        ("kos01/Part0.jpg", "train", "good", None),
        ("kos01/Part1.jpg", "test", "defect", "kos01/Part1_label.bmp"),
        ("kos02/Part0.jpg", "train", "good", None),
        ("kos03/Part0.jpg", "test", "good", None),
        ("kos03/Part1.jpg", "test", "defect", "kos03/Part1_label.bmp"),
    ]
    assert "Part7.jpg" in caplog.text


def test_kolektor2_leaves_defective_training_pictures_out(tmp_path: Path) -> None:
    kolektor2(tmp_path)
    assert listed(tmp_path) == [
        ("test/20000.png", "test", "good", None),
        ("test/20001.png", "test", "defect", "test/20001_GT.png"),
        ("train/10000.png", "train", "good", None),
    ]


def test_kolektor_label_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    kolektor2(tmp_path)
    (tmp_path / "train" / "10001_GT.png").write_bytes(b"x")
    with pytest.raises(DataError, match="10001_GT"):
        find_samples(tmp_path)


@pytest.mark.parametrize("place", ["ground_truth/crack", "mask/crack", "Masks/crack", "mask"])
@pytest.mark.parametrize("ending", ["", "_mask"])
def test_folder_finds_masks_beside_the_defects(tmp_path: Path, place: str, ending: str) -> None:
    touch(tmp_path, "Normal/0.png", "normal_test/1.png", "crack/a/2.png", "crack/3.png", f"{place}/a/2{ending}.png")
    assert sorted(listed(tmp_path)) == [
        ("Normal/0.png", "train", "good", None),
        ("crack/3.png", "test", "crack", None),
        ("crack/a/2.png", "test", "crack", f"{place}/a/2{ending}.png"),
        ("normal_test/1.png", "test", "good", None),
    ]


def test_folder_never_takes_the_mask_of_another_defect(tmp_path: Path) -> None:
    touch(tmp_path, "good/0.png", "crack/1.png", "dent/1.png", "mask/1.png")
    assert [mask for *_, mask in listed(tmp_path)] == [None, None, None]


def test_folder_never_learns_masks(tmp_path: Path) -> None:
    touch(tmp_path, "0.png", "ng/1.png", "masks/ng/1.png", "monday/mask/2.png", "monday/3.png")
    assert listed(tmp_path) == [
        ("0.png", "train", "good", None),
        ("monday/3.png", "train", "good", None),
        ("ng/1.png", "test", "ng", "masks/ng/1.png"),
    ]


@pytest.mark.parametrize(
    ("build", "layout", "sign"),
    [
        (mvtec, "mvtec", "train/good"),
        (visa, "visa", "1cls.csv"),
        (dagm, "dagm", "Label"),
        (btad, "btad", "train/ok"),
        (kolektor, "kolektor", "_label"),
        (kolektor2, "kolektor", "_GT"),
    ],
)
@pytest.mark.parametrize("below", [False, True])
def test_auto_says_which_layout_and_why(
    tmp_path: Path, build: Callable[[Path], None], layout: str, sign: str, below: bool
) -> None:
    below = below and layout in ("mvtec", "dagm", "btad")
    for name in ("b", "a") if below else ("b",):
        build(tmp_path / "set" / name if below else tmp_path / "set")
    reading = recognise(tmp_path / "set")
    assert reading.layout == layout
    assert sign in reading.why
    if below:
        assert reading.why.endswith("in 'a', 'b'")
    assert reading.categories == (("a", "b") if below else ("candle", "pcb1") if layout == "visa" else ("set",))
    assert recognise(tmp_path / "set", layout).why == "as asked for"
    category = reading.categories[0]
    assert find_samples(tmp_path / "set", category=category) == find_samples(tmp_path / "set", layout, category)


def test_two_readings_are_an_error_that_shows_both(tmp_path: Path) -> None:
    mvtec(tmp_path)
    touch(tmp_path, "train/ok/7.png")
    with pytest.raises(LayoutError, match="two ways") as caught:
        find_samples(tmp_path)
    assert "mvtec, for train/good is there: 2 good pictures to learn from, 4 to measure on, 3" in str(caught.value)
    assert "btad, for train/ok is there: 1 good pictures to learn from, 4 to measure on, 3" in str(caught.value)
    assert "--layout mvtec or --layout btad" in str(caught.value)
    assert len(find_samples(tmp_path, layout="btad")) == 5


def test_a_folder_called_good_beside_another_layout_is_ambiguous(tmp_path: Path) -> None:
    kolektor(tmp_path)
    assert recognise(tmp_path).layout == "kolektor"
    touch(tmp_path, "good/0.png")
    with pytest.raises(LayoutError, match="--layout kolektor or --layout folder"):
        recognise(tmp_path)


def test_wrong_layout_says_what_it_looks_like(tmp_path: Path) -> None:
    btad(tmp_path)
    with pytest.raises(LayoutError, match="looks like btad: train/ok is there"):
        find_samples(tmp_path, layout="visa")


def test_layouts_name_every_licence() -> None:
    assert {known.layout for known in DATA_SETS} <= set(layout_trees())
    for known in DATA_SETS:
        row = next(line for line in str(layouts.__doc__).splitlines() if line.split()[:1] == [known.layout])
        assert f"{known.name}: {known.licence}" in row
        assert known.url.startswith("http")


def manifest(folder: Path, text: str, name: str = "list.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_manifest_rows_become_samples(tmp_path: Path) -> None:
    touch(tmp_path, "a/0.png", 'a/1, "x".png', "b/2.png", "b/2m.png", "b/3.png")
    text = (
        "\ufeffpath,label,mask,split,category,session\r\n"
        "../a/0.png,,,,,monday\r\n"
        '"../a/1, ""x"".png",OK,,test,,\r\n'
        "\r\n"
        f"{tmp_path}/b/2.png,dent,../b/2m.png\r\n"
        "../b/3.png,dent,,train\r\n"
    )
    path = manifest(tmp_path / "lists", text)
    rows = [(s.path.name, s.split, s.defect, s.category, s.session) for s in find_samples(path)]
    assert sorted(rows, key=lambda row: row[0]) == [
        ("0.png", "train", "good", "list", "monday"),
        ('1, "x".png', "test", "good", "list", None),
        ("2.png", "test", "dent", "list", None),
        ("3.png", "train", "dent", "list", None),
    ]
    assert [s.mask_path.name for s in find_samples(path) if s.mask_path] == ["2m.png"]
    assert recognise(path).layout == "manifest"


def test_manifest_of_json_lines_with_categories(tmp_path: Path) -> None:
    touch(tmp_path, "größe 漢字.png", "1.png")
    path = manifest(
        tmp_path,
        '{"path": "größe 漢字.png", "category": "b"}\n\n'
        '{"path": "1.png", "label": "dent", "category": "a", "mask": null}',
        "list.jsonl",
    )
    assert recognise(path).categories == ("a", "b")
    with pytest.raises(LayoutError, match="a, b"):
        find_samples(path)
    assert [sample.path.name for sample in find_samples(path, category="b")] == ["größe 漢字.png"]
    assert [sample.split for sample in find_samples(path, category="a")] == ["test"]  # a manifest may only test


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,lable\n0.png,good", "line 2, has the unknown column 'lable'; the known ones are path, label, mask"),
        ("label\ngood", "line 2, lacks the column 'path'"),
        ("path,path\n0.png,0.png", "a column twice"),
        ("", "is empty"),
        ("path\n0.png\nlost.png\n", r"line 3: .*lost\.png"),
        ("path,label,mask\n0.png,dent,lost.png\n", r"line 2: .*lost\.png"),
        ("path\n0.png\n\n0.png\n", "line 4, lists .* line 2 already does"),
        ("path,split\n0.png,val", "line 2, has the split 'val'"),
        ("path,mask\n0.png,0.png", "line 2, is good but has a mask"),
        ("path,label\n,good", "line 2, has no path"),
        ("path\n0.png,good", "line 2, has 2 cells for 1 columns"),
        ('path\n"0.png', "is not CSV"),
        ("path,label\n0.png,../../etc", "cannot be the name of a folder"),
        ("path,category\n0.png,..", "cannot be the name of a folder"),
        ("path,label\n0.png,a\\b", "cannot be the name of a folder"),
        ("path,label\n0.png,a\0b", "cannot be the name of a folder"),
        (f"path,label\n0.png,{'x' * 300}", "cannot be the name of a folder"),
        (f"path\n{'x' * 5000}", "line 2"),
        ("path\na\0b", "line 2"),
    ],
)
def test_manifest_faults_name_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    touch(tmp_path, "0.png")
    with pytest.raises(DataError, match=sentence) as caught:
        find_samples(manifest(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"path": "0.png"}\n[1]', "line 2, is not a JSON object"),
        ('{"path": "0.png"', "line 1, is not a JSON object"),
        ('{"path": 3}', "line 1, is not a JSON object"),
        ('{"path": "0.png", "lable": "x"}', "line 1, has the unknown column 'lable'"),
        ('{"label": "x"}', "line 1, lacks the column 'path'"),
        ('{"path": "0.png", "label": "\\ud800"}', "cannot be the name of a folder"),
        ('{"path": "\\ud800"}', "line 1"),
        ("[" * 100_000, "line 1, is not a JSON object"),
    ],
)
def test_json_manifest_faults_name_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    touch(tmp_path, "0.png")
    with pytest.raises(DataError, match=sentence):
        find_samples(manifest(tmp_path, text, "list.jsonl"))


def test_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"path\n\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        find_samples(tmp_path / "list.csv")
    touch(tmp_path, "0.png")
    with pytest.raises(LayoutError, match="looks like folder"):
        find_samples(tmp_path, layout="manifest")


@pytest.mark.parametrize("build", [dagm, btad, kolektor2])
def test_odd_names_and_links_in_every_layout(tmp_path: Path, build: Callable[[Path], None]) -> None:
    root = tmp_path / "a [b]*\n漢字"
    build(root)
    train = root / ("Train" if build is dagm else "train/ok" if build is btad else "train")
    for name in ("größe\n漢字", "<img src=x>", "-rf"):
        touch(train, f"{name}.png")
        if build is kolektor2:
            draw(train / f"{name}_GT.png")
    touch(tmp_path, "secret.png")
    (train / "out.png").symlink_to(tmp_path / "secret.png")
    touch(train, ".hidden.png", "Thumbs.db")
    learned = {sample.path.stem for sample in find_samples(root) if sample.split == "train"}
    assert learned - {"0001", "0000", "10000"} == {"größe\n漢字", "<img src=x>", "-rf"}
    assert recognise(root).categories == (root.name,)
