"""`--category all` and `datasets`: every category in its own folder, one row each, and the mean. Nothing is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import save_file

from diffusionad.assembly import build_detector
from diffusionad.bundle import Origin, write_bundle
from diffusionad.cli import main
from diffusionad.cli.categories import show_categories
from diffusionad.cli.screen import Screen
from diffusionad.config import resolve
from diffusionad.data import DATA_SETS, layout_trees
from diffusionad.export import to_onnx

SMALL = (
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.attention_levels=[1]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "segmenter.patch=2",
)


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, out, err


def copied(data: Path, category: Path, *, good: int, test: int) -> None:
    """The shared data set as a category, with so many pictures for training, and in each test folder."""
    shutil.copytree(data, category)
    for folder in (category / "train" / "good", category / "test" / "good", category / "test" / "bar"):
        for path in sorted(folder.iterdir())[good if folder.parent.name == "train" else test :]:
            path.unlink()


@pytest.fixture(scope="module")
def root(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two categories."""
    root = tmp_path_factory.mktemp("set")
    copied(data, root / "nut", good=12, test=2)
    copied(data, root / "bolt", good=14, test=3)
    return root


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bolt/bundle and nut/bundle with the first weights: they judge badly, which is enough here."""
    out = tmp_path_factory.mktemp("runs")
    config = resolve("tiny", settings=SMALL)
    detector = build_detector(config).eval()
    save_file(dict(detector.state_dict()), out / "w")
    to_onnx(detector, out / "o")
    origin = Origin("set", "bolt", 8, 1, "object", 0, 0.0, "cpu", 0.5, 0.1, ())
    write_bundle(
        out / "bolt" / "bundle", config=config, origin=origin, calibration=None, weights=out / "w", onnx=out / "o"
    )
    shutil.copytree(out / "bolt", out / "nut")
    return out


def test_evaluate_all_measures_each_and_the_mean(
    root: Path, bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "evaluate", bundles, root, "--category", "all", "--out", tmp_path, "--json")
    assert code == 0
    printed = json.loads(out)
    assert list(printed["categories"]) == ["bolt", "nut"]
    for name, pictures in (("bolt", 6), ("nut", 4)):
        assert json.loads((tmp_path / name / "metrics.json").read_text()) == printed["categories"][name]
        assert len((tmp_path / name / "predictions.csv").read_text().splitlines()) == pictures + 1
    for figure, mean in printed["mean"].items():
        values = [printed["categories"][name]["figures"][figure] for name in ("bolt", "nut")]
        assert mean == pytest.approx(sum(values) / 2, abs=1e-12)


def test_evaluate_all_names_the_bundle_that_is_missing_before_any_work(
    root: Path, bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some").mkdir()
    shutil.copytree(bundles / "bolt", tmp_path / "some" / "bolt")
    code, _, err = call(capsys, "evaluate", tmp_path / "some", root, "--category", "all", "--out", tmp_path / "out")
    assert code == 2
    assert "'nut'" in err
    assert not (tmp_path / "out").exists()


def test_evaluate_says_which_layout_and_why(
    root: Path, bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, "evaluate", bundles / "nut" / "bundle", root, "--category", "nut", "--out", tmp_path)
    assert code == 0
    assert "Layout mvtec: train/good is there, in 'bolt', 'nut'." in err


def test_calibrate_takes_one_category_of_several(
    root: Path, bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(bundles / "bolt" / "bundle", tmp_path / "bundle")
    code, _, err = call(capsys, "calibrate", bundle, root)
    assert code == 2
    assert "bolt, nut" in err
    code, out, _ = call(capsys, "calibrate", bundle, root, "--category", "bolt", "--json")
    assert code == 2
    assert "3 good pictures are too few" in json.loads(out)["error"]["message"]  # bolt's good test pictures


def test_dry_run_of_all_plans_each_category(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("train", root, "--category", "all", "--out", tmp_path / "run", "--preset", "tiny", "--dry-run", "--json")
    code, out, _ = call(capsys, *words)
    assert code == 0
    plans = json.loads(out)["categories"]
    counted = ("training pictures", "validation pictures", "calibration pictures")
    assert {name: sum(plan[key] for key in counted) for name, plan in plans.items()} == {"bolt": 14, "nut": 12}
    assert not (tmp_path / "run").exists()


def test_train_all_trains_each_category_into_its_folder(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path, str]] = []

    def fake(data: Path, out: Path, *, category: str, layout: str, **options: Any) -> Any:
        asked.append((category, out, layout))
        score = SimpleNamespace(image_auroc=0.5 if category == "bolt" else 1.0, pixel_ap=0.25)
        bundle = SimpleNamespace(calibration=None, folder=out / "bundle")
        unreadable = (("x", "y"),) if category == "nut" else ()
        return SimpleNamespace(warnings=(), bundle=bundle, images=8, seconds=1.0, score=score, unreadable=unreadable)

    monkeypatch.setattr("diffusionad.cli.train.import_training", lambda: SimpleNamespace(train=fake))
    code, out, _ = call(capsys, "train", root, "--category", "all", "--out", tmp_path, "--json")
    assert code == 3  # one category left a picture out
    assert asked == [("bolt", tmp_path / "bolt", "mvtec"), ("nut", tmp_path / "nut", "mvtec")]
    assert json.loads(out)["mean"] == {"image_auroc": 0.75, "pixel_ap": 0.25}
    code, out, _ = call(capsys, "train", root, "--category", "all", "--out", tmp_path)
    rows = [line.split() for line in out.splitlines()]
    assert ["bolt", "0.500", "0.250"] in rows
    assert ["mean", "0.750", "0.250"] in rows
    code, _, err = call(capsys, "train", root, "--category", "all", "--out", tmp_path, "--devices", "2")
    assert code == 2
    assert "one process" in err


def test_a_category_called_all_is_only_itself(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied(data, tmp_path / "set" / "all", good=10, test=1)
    copied(data, tmp_path / "set" / "nut", good=12, test=1)
    words = ("train", tmp_path / "set", "--category", "all", "--out", tmp_path / "run", "--dry-run", "--json")
    code, out, _ = call(capsys, *words)
    assert code == 0
    plan = json.loads(out)
    counted = ("training pictures", "validation pictures", "calibration pictures")
    assert sum(plan[key] for key in counted) == 10


def test_a_mean_over_some_categories_is_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"a": {"image_auroc": 0.5, "aupro": None}, "b": {"image_auroc": 1.0, "aupro": 0.5}}
    assert show_categories(Screen(), ("image_auroc", "aupro"), rows) == {"image_auroc": 0.75, "aupro": None}
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mean", "0.750", "-"]


def test_datasets_lists_every_layout_and_set(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "datasets")
    assert code == 0
    for known in DATA_SETS:
        assert f"{known.name}: {known.url}\n    licence: {known.licence}" in out
    code, out, _ = call(capsys, "datasets", "--json")
    listed = json.loads(out)
    assert {row["name"]: row["tree"] for row in listed["layouts"]} == layout_trees()
    assert [row["name"] for row in listed["data_sets"]] == [known.name for known in DATA_SETS]
