"""The published data sets, each as a miniature in exactly its tree, and manifests: read, recognised, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad.data import find_samples, recognise
from diffusionad.errors import DataError, LayoutError, UsageError

Row = tuple[str, str, str, str | None]


def draw(path: Path, spot: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[4:6, 4:6] = 255 * spot
    Image.fromarray(pixels).save(path)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def listed(root: Path, category: str | None = None) -> list[Row]:
    base = root if root.is_dir() else root.parent

    def short(path: Path | None) -> str | None:
        return None if path is None else str(path.relative_to(base))

    samples = find_samples(root, category=category)
    return [(str(short(one.path)), one.split, one.defect, short(one.mask_path)) for one in samples]


def visa(root: Path) -> None:
    images = (
        "candle/Data/Images/Normal/0000.JPG",
        "candle/Data/Images/Anomaly/000.JPG",
        "pcb1/Data/Images/Normal/7.JPG",
    )
    touch(root, *images, "candle/Data/Images/Normal/0001.JPG", "candle/Data/Masks/Anomaly/000.png")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text(
        "object,split,label,image,mask\n"
        f"candle,train,normal,{images[0]},\n"
        "candle,test,normal,candle/Data/Images/Normal/0001.JPG,\n"
        f"candle,test,anomaly,{images[1]},candle/Data/Masks/Anomaly/000.png\n"
        f"pcb1,train,normal,{images[2]},\n"
    )


def test_visa_as_it_is_published(tmp_path: Path) -> None:
    visa(tmp_path)
    assert recognise(tmp_path).categories == ("candle", "pcb1")
    assert listed(tmp_path, "candle") == [
        ("candle/Data/Images/Anomaly/000.JPG", "test", "anomaly", "candle/Data/Masks/Anomaly/000.png"),
        ("candle/Data/Images/Normal/0000.JPG", "train", "good", None),
        ("candle/Data/Images/Normal/0001.JPG", "test", "good", None),
    ]


def test_visa_re_arranged_is_read_as_mvtec_with_bare_masks(tmp_path: Path) -> None:
    touch(tmp_path, "candle/train/good/0.JPG", "candle/test/bad/1.JPG", "candle/ground_truth/bad/1.png")
    assert recognise(tmp_path).layout.name == "mvtec"
    assert listed(tmp_path)[0] == ("candle/test/bad/1.JPG", "test", "bad", "candle/ground_truth/bad/1.png")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("object,split,label,image\n", "mask"),
        ("object,split,label,image,mask\ncandle,train,fine,a.JPG,\n", "Line 2"),
        ("object,split,label,image,mask\ncandle,train,normal,missing.JPG,\n", "missing"),
        ("object,split,label,image,mask\ncandle,train,normal,../outside.JPG,\n", "leads out"),
    ],
)
def test_a_broken_visa_table_is_told(tmp_path: Path, text: str, says: str) -> None:
    touch(tmp_path, "outside.JPG")
    (tmp_path / "visa" / "split_csv").mkdir(parents=True)
    (tmp_path / "visa" / "split_csv" / "1cls.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        find_samples(tmp_path / "visa")


def test_btad_with_bmp_pictures_and_masks_of_another_kind(tmp_path: Path) -> None:
    touch(tmp_path, "01/train/ok/0.bmp", "01/test/ok/1.bmp", "01/test/ko/2.bmp", "01/ground_truth/ko/2.png")
    touch(tmp_path, "02/train/ok/0.png")
    assert (recognise(tmp_path).layout.name, recognise(tmp_path).categories) == ("btad", ("01", "02"))
    assert listed(tmp_path, "01") == [
        ("01/test/ko/2.bmp", "test", "ko", "01/ground_truth/ko/2.png"),
        ("01/test/ok/1.bmp", "test", "good", None),
        ("01/train/ok/0.bmp", "train", "good", None),
    ]


def test_dagm_learns_from_defect_free_pictures_only(tmp_path: Path) -> None:
    touch(tmp_path, "Class1/Train/0001.PNG", "Class1/Train/0002.PNG", "Class1/Train/Label/0002_label.PNG")
    touch(tmp_path, "Class1/Test/0003.PNG", "Class1/Test/0004.PNG", "Class1/Test/Label/0004_label.PNG")
    assert recognise(tmp_path).layout.name == "dagm"
    assert listed(tmp_path) == [
        ("Class1/Test/0003.PNG", "test", "good", None),
        ("Class1/Test/0004.PNG", "test", "defect", "Class1/Test/Label/0004_label.PNG"),
        ("Class1/Train/0001.PNG", "train", "good", None),
    ]


def test_kolektor_first_set_asks_the_masks_what_is_good(tmp_path: Path) -> None:
    for item in ("kos01", "kos02", "kos03"):
        for part in (0, 1):
            draw(tmp_path / item / f"Part{part}.jpg")
            draw(tmp_path / item / f"Part{part}_label.bmp", spot=(item, part) == ("kos01", 1))
    assert recognise(tmp_path).layout.name == "kolektor"
    assert listed(tmp_path) == [
        ("kos01/Part0.jpg", "train", "good", None),
        ("kos01/Part1.jpg", "test", "defect", "kos01/Part1_label.bmp"),
        ("kos02/Part0.jpg", "train", "good", None),
        ("kos02/Part1.jpg", "train", "good", None),
        ("kos03/Part0.jpg", "test", "good", None),
        ("kos03/Part1.jpg", "test", "good", None),
    ]
    (tmp_path / "kos02" / "Part1_label.bmp").unlink()
    with pytest.raises(DataError, match="nobody knows"):
        find_samples(tmp_path)


def test_kolektor_second_set_leaves_defects_of_train_out(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in (1, 2):
            draw(tmp_path / split / f"{number}.png")
            draw(tmp_path / split / f"{number}_GT.png", spot=number == 2)
    assert recognise(tmp_path).layout.name == "kolektor"
    assert listed(tmp_path) == [
        ("test/1.png", "test", "good", None),
        ("test/2.png", "test", "defect", "test/2_GT.png"),
        ("train/1.png", "train", "good", None),
    ]


def test_a_mask_that_cannot_be_read_is_no_good_picture(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "1.png")
    touch(tmp_path, "train/1_GT.png")
    with pytest.raises(DataError, match="mask cannot be read"):
        find_samples(tmp_path)


def test_two_readings_are_an_error_that_shows_both_and_a_choice_settles_it(tmp_path: Path) -> None:
    visa(tmp_path)
    touch(tmp_path, "candle/train/good/0.JPG")
    with pytest.raises(LayoutError, match=r"2 ways(.|\n)*--layout mvtec(.|\n)*--layout visa"):
        find_samples(tmp_path)
    assert recognise(tmp_path, "visa").categories == ("candle", "pcb1")
    assert recognise(tmp_path, "mvtec").categories == ("candle",)


def test_the_recognised_layout_says_which_and_why(tmp_path: Path) -> None:
    touch(tmp_path, "a/train/good/0.png", "b/train/good/0.png")
    assert recognise(tmp_path).sentence() == "Layout mvtec: it holds train/good, 2 categories."


def manifest(folder: Path, name: str, rows: list[dict[str, str]]) -> Path:
    table = folder / name
    columns = list(rows[0])
    if name.endswith(".csv"):
        lines = [",".join(columns), *(",".join(row.get(column, "") for column in columns) for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.mark.parametrize("name", ["parts.csv", "parts.jsonl"])
def test_a_manifest_names_pictures_that_lie_anywhere(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "mon/a.png", "tue/b.png", "tue/c.png", "masks/c.png", "far/d.png")
    rows = [
        {"path": "mon/a.png", "label": "", "mask": "", "split": "", "session": "monday"},
        {"path": "tue/b.png", "label": "ok", "mask": "", "split": "test", "session": ""},
        {"path": "tue/c.png", "label": "dent", "mask": "masks/c.png", "split": "", "session": ""},
        {"path": str(tmp_path / "far" / "d.png"), "label": "good", "mask": "", "split": "train", "session": ""},
    ]
    table = manifest(tmp_path, name, rows)
    assert recognise(table).categories == ("parts",)
    assert listed(table) == [
        ("far/d.png", "train", "good", None),
        ("mon/a.png", "train", "good", None),
        ("tue/b.png", "test", "good", None),
        ("tue/c.png", "test", "dent", "masks/c.png"),
    ]


def test_a_manifest_may_hold_several_categories(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    table = manifest(tmp_path, "all.csv", [{"path": "a.png", "category": "nut"}, {"path": "b.png", "category": "bolt"}])
    assert recognise(table).categories == ("bolt", "nut")
    assert [name for name, *_ in listed(table, "nut")] == ["a.png"]
    with pytest.raises(LayoutError, match="bolt, nut"):
        find_samples(table)
    with pytest.raises(UsageError, match="bolt, nut"):
        find_samples(table, category="screw")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "path,lable\na.png,good\n", "unknown column 'lable'.*label"),
        ("t.csv", "label\ngood\n", "Line 2 .* has no path"),
        ("t.csv", "path\nmissing.png\n", "Line 2 .*'missing.png' is missing"),
        ("t.csv", "path,split\na.png,validation\n", "split 'validation'"),
        ("t.csv", "path,label,split\na.png,dent,train\n", "for good pictures"),
        ("t.csv", "path\na.png,b.png\n", "not a row"),
        ("t.jsonl", '{"path": "a.png"}\n{"path": \n', "cannot be read"),
        ("t.jsonl", '["a.png"]\n', "not a row"),
        ("t.jsonl", '{"path": 3}\n', "not a row"),
        ("t.csv", "", "not laid out as expected"),
    ],
)
def test_a_broken_manifest_names_the_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    touch(tmp_path, "a.png", "b.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        find_samples(tmp_path / name)
