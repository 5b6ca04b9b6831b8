"""What another program marked is what our manifest marks, read back by our own reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusionad.cli import main
from diffusionad.data import find_samples, read_mask
from diffusionad.errors import DataError, UsageError
from diffusionad.importing import Imported, import_data

SIZE = (20, 30)


@pytest.fixture
def marked() -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[4:9, 10:17] = True
    mask[15, 2] = True
    return mask


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "shift" / "images"
    folder.mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(folder / f"{name}.png")
    return folder


def read_back(made: Imported) -> dict[str, tuple[str, str, np.ndarray | None]]:
    found = {}
    for sample in find_samples(made.manifest, "manifest", None):
        mask = None if sample.mask_path is None else read_mask(sample.mask_path, SIZE)
        found[sample.path.stem] = (sample.defect, sample.split, mask)
    return found


def test_lookout_has_colours_for_classes_and_white_for_the_rest(
    tmp_path: Path, pictures: Path, marked: np.ndarray
) -> None:
    colours = np.where(marked[..., None], (44, 160, 44), (255, 255, 255)).astype(np.uint8)
    (tmp_path / "masks").mkdir()
    Image.fromarray(colours).save(tmp_path / "masks" / "b.png")
    where = "s3://bucket-1/project/images/"
    background = {"class-name": "BACKGROUND", "hex-color": "#ffffff"}
    scratch = {"class-name": "scratch", "hex-color": "#2ca02c"}
    lines = [
        {"source-ref": f"{where}a.png", "anomaly-label": 0, "anomaly-label-metadata": {"class-name": "normal"}},
        {
            "source-ref": f"{where}b.png",
            "anomaly-label": 1,
            "anomaly-label-metadata": {"class-name": "anomaly"},
            "anomaly-mask-ref": "s3://bucket-1/masks/b.png",
            "anomaly-mask-ref-metadata": {"internal-color-map": {"0": background, "1": scratch}},
        },
        {"source-ref": f"{where}c.png", "anomaly-label": 1, "anomaly-label-metadata": {"class-name": "anomaly"}},
    ]
    source = tmp_path / "train.manifest"
    source.write_text("\n".join(map(json.dumps, lines)) + "\n")
    with pytest.raises(DataError, match=r"line 1, names .* give --root"):
        import_data("lookout", source, tmp_path / "part.csv")
    for name in ("images",):
        (tmp_path / name).symlink_to(pictures, target_is_directory=True)
    made = import_data("lookout", source, tmp_path / "part.csv")
    found = read_back(made)
    assert (made.good, made.defective, made.masks) == (1, 2, 1)
    assert found["a"] == ("good", "train", None)
    assert found["b"][:2] == ("scratch", "test")
    assert np.array_equal(found["b"][2], marked)
    assert found["c"] == ("anomaly", "test", None)


def encoded(runs: list[int]) -> str:
    """COCO's code for run lengths, written from its description."""
    text = ""
    for place, run in enumerate(runs):
        value, more = run - (runs[place - 2] if place > 2 else 0), True
        while more:
            code, value = value & 0x1F, value >> 5
            more = value != (-1 if code & 0x10 else 0)
            text += chr((code | 0x20 if more else code) + 48)
    return text


def runs_of(mask: np.ndarray) -> list[int]:
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    return [int(one) for one in np.diff(np.concatenate([[0], edges, [len(flat)]]))]


@pytest.mark.parametrize("form", ["runs", "code", "box", "polygon"])
def test_coco_in_each_of_its_forms(tmp_path: Path, pictures: Path, marked: np.ndarray, form: str) -> None:
    shapes: dict[str, dict[str, Any]] = {
        "runs": {"segmentation": {"counts": runs_of(marked), "size": list(SIZE)}},
        "code": {"segmentation": {"counts": encoded(runs_of(marked)), "size": list(SIZE)}},
        "box": {"bbox": [10, 4, 7, 5]},
        "polygon": {"segmentation": [[10, 4, 16, 4, 16, 8, 10, 8]]},
    }
    if form in ("box", "polygon"):
        marked[15, 2] = False
    names = ("a", "b", "c")
    content = {
        "images": [{"id": n, "file_name": f"{name}.png", "height": 20, "width": 30} for n, name in enumerate(names)],
        "categories": [{"id": 7, "name": "dent"}, {"id": 8, "name": "normal"}],
        "annotations": [
            {"image_id": 1, "category_id": 7, "area": 36, **shapes[form]},
            {"image_id": 2, "category_id": 8, "bbox": [0, 0, 30, 20]},
        ],
    }
    source = tmp_path / "coco.json"
    source.write_text(json.dumps(content))
    found = read_back(import_data("coco", source, tmp_path / "out" / "part.csv", root=pictures))
    assert found["a"][0] == found["c"][0] == "good"
    assert found["b"][0] == "dent"
    assert np.array_equal(found["b"][2], marked)


def test_anomalib_folders_and_masks_by_name(tmp_path: Path, pictures: Path, marked: np.ndarray) -> None:
    root = tmp_path / "set"
    for folder in ("ok", "scratch", "masks"):
        (root / folder).mkdir(parents=True)
    (pictures / "a.png").rename(root / "ok" / "a.png")
    (pictures / "b.png").rename(root / "scratch" / "b.png")
    Image.fromarray(marked.astype(np.uint8) * 255).save(root / "masks" / "b.png")
    told = {"root": "set", "normal_dir": "ok", "abnormal_dir": ["scratch"], "mask_dir": "masks"}
    source = tmp_path / "data.json"
    source.write_text(json.dumps({"data": {"class_path": "anomalib.data.Folder", "init_args": told}}))
    found = read_back(import_data("anomalib", source, tmp_path / "part.csv"))
    assert found["a"] == ("good", "train", None)
    assert found["b"][:2] == ("scratch", "test")
    assert np.array_equal(found["b"][2], marked)


def test_a_split_for_all_pictures(tmp_path: Path, pictures: Path) -> None:
    source = tmp_path / "test.manifest"
    source.write_text(json.dumps({"source-ref": "a.png", "anomaly-label": 0}))
    made = import_data("lookout", source, tmp_path / "part.csv", root=pictures, split="test")
    assert read_back(made)["a"][:2] == ("good", "test")


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("lookout", "{", "line 1, is not JSON"),
        ("lookout", "[]", "line 1, is not a JSON object"),
        ("lookout", '{"source-ref": "a.png"}', "has no anomaly-label"),
        ("lookout", '{"source-ref": 3, "anomaly-label": 0}', "names no picture"),
        ("lookout", '{"source-ref": "../../etc/passwd", "anomaly-label": 0}', "give --root"),
        ("lookout", "", "names no picture"),
        ("coco", '{"annotations": []}', "is not COCO: KeyError"),
        ("coco", '{"images": [], "annotations": [{"image_id": 3}]}', "that it does not list, such as 3"),
        ("anomalib", '{"root": "x"}', "normal_dir is missing"),
        ("anomalib", '{"normal_dir": "nowhere"}', "which is not there"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_written(
    tmp_path: Path, pictures: Path, kind: Any, content: str, told: str
) -> None:
    source = tmp_path / "source.json"
    source.write_text(content)
    with pytest.raises(DataError, match=told) as caught:
        import_data(kind, source, tmp_path / "part.csv", root=pictures)
    assert caught.value.code == "data.import"
    assert not (tmp_path / "part.csv").exists()


def test_a_mask_of_another_size_is_named(tmp_path: Path, pictures: Path) -> None:
    Image.new("RGB", (3, 3)).save(pictures / "mask.png")
    source = tmp_path / "source.json"
    source.write_text(json.dumps({"source-ref": "a.png", "anomaly-label": 1, "anomaly-mask-ref": "mask.png"}))
    with pytest.raises(DataError, match=r"the mask mask\.png is \(3, 3\)"):
        import_data("lookout", source, tmp_path / "part.csv", root=pictures)


def test_only_a_csv_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv"):
        import_data("coco", tmp_path / "x.json", tmp_path / "part.txt")


def test_the_command_says_what_it_made(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "test.manifest"
    source.write_text(json.dumps({"source-ref": "a.png", "anomaly-label": 0}))
    words = ["import-data", "lookout", str(source), "--out", str(tmp_path / "part.csv"), "--root", str(pictures)]
    with pytest.raises(SystemExit) as leaving:
        main([*words, "--json"])
    assert leaving.value.code == 0
    assert json.loads(capsys.readouterr().out)["good"] == 1
