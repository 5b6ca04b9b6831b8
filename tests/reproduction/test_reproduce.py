"""Reproducing: what is measured is stored at once and not measured again; what is not, is called so."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from diffusionad.cli import main
from diffusionad.config import resolve
from diffusionad.data import read_picture
from diffusionad.reproduction import Asked, ablate, measure_sizes, write_strips
from diffusionad.reproduction.ablation import TRAININGS, VARIANTS
from diffusionad.reproduction.paper import read_table
from diffusionad.reproduction.rows import COLUMNS, append_row, config_key, read_rows
from diffusionad.reproduction.strips import EACH, SIDE
from diffusionad.reproduction.timing import duration, time_a_step

SMALL = (
    "data.size=[64, 64]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "training.batch=4",
    "training.validations=1",
)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*words])
    return int(caught.value.code or 0)


def words(root: Path, out: Path, *more: str, seeds: int = 1) -> list[str]:
    setting = [word for each in SMALL for word in ("--set", each)]
    folders = ["--results", str(out / "results"), "--runs", str(out / "runs")]
    return ["--root", str(root), "--preset", "tiny", "--images", "32", "--seeds", str(seeds), *folders, *setting, *more]


@pytest.fixture(scope="module")
def root(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one category that the benchmark knows."""
    place = tmp_path_factory.mktemp("benchmark")
    shutil.copytree(data, place / "bottle")
    return place


def test_a_category_is_measured_once_and_the_rest_is_called_not_run(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("reproduce", "mvtec", *words(root, tmp_path)) == 0
    shown = capsys.readouterr()
    assert "A training image takes" in shown.err
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line.startswith("  ")}
    assert "not run" not in lines["bottle"]
    assert lines["bottle"].split()[-1] == "1"
    assert "not run" in lines["zipper"]
    assert "not run" in lines["average"]
    path = tmp_path / "results" / "mvtec.csv"
    (row,) = read_rows(path)
    measured = json.loads(next((tmp_path / "runs").rglob("metrics.json")).read_text())["figures"]
    for figure in ("image_auroc", "pixel_auroc", "pixel_ap", "aupro", "pixel_f1_max"):
        assert float(row[figure]) == pytest.approx(measured[figure], abs=1e-5)
    assert (row["images_seen"], row["seed"], row["category"], row["passes"]) == ("32", "0", "bottle", "2")
    assert row["paper_image_auroc"] == ""
    assert float(row["images_per_second"]) > 0
    assert all(row[name] for name in ("commit", "config", "device", "seconds", "threshold_rule", "selection_rule"))
    before = path.read_bytes()
    assert run("reproduce", "mvtec", *words(root, tmp_path)) == 0
    assert path.read_bytes() == before
    assert "0 runs are missing" in capsys.readouterr().err


def test_the_ablation_measures_several_variants_on_one_run(root: Path, tmp_path: Path) -> None:
    asked = Asked(
        root, tmp_path / "results", tmp_path / "runs", seeds=1, preset="tiny", images=32, settings=SMALL
    )  # fmt: skip
    said: list[str] = []
    rows = ablate(asked, lambda text, passing: said.append(text), ("one-scale",))
    names = [variant.name for variant in VARIANTS if variant.training == "one-scale"]
    assert sorted(row["variant"] for row in rows) == sorted(names)
    assert len(list((tmp_path / "runs" / "ablation" / "bottle").iterdir())) == 1
    by_name = {row["variant"]: row for row in rows}
    assert by_name["both, averaged"]["paper_image_auroc"] == "0.978"
    assert by_name["both, DDPM, 34 passes"]["passes"] == "34"
    assert by_name["both, DDIM, 11 passes"]["passes"] == "11"
    written = [json.loads(path.read_text())["figures"]["pixel_ap"] for path in tmp_path.rglob("metrics.json")]
    assert len(set(written)) == len(names)  # variants differ
    kept = [row for row in read_rows(tmp_path / "results" / "ablation.csv") if row["variant"] != "both, t=191"]
    path = tmp_path / "results" / "ablation.csv"
    path.unlink()
    for row in kept:
        append_row(path, row)
    said.clear()
    again = ablate(asked, lambda text, passing: said.append(text), ("one-scale",))
    assert sum(text.startswith("Run ") for text in said) == 1
    figures = {row["variant"]: row["pixel_ap"] for row in again}
    assert figures == {row["variant"]: row["pixel_ap"] for row in rows}  # and it is the same run
    written = write_strips(asked, tmp_path / "looks", lambda text, passing: None)
    sheets = sorted((tmp_path / "looks" / "bottle" / "seed0").iterdir())
    assert written == len(sheets) == 2 * EACH  # good and one kind of defect
    side = 32 * (SIDE // 32)
    heights = {read_picture(sheet).shape[0] for sheet in sheets}
    assert all(height >= side * len(names) for height in heights)  # a row for each variant of the finished run
    assert all(height < side * (len(names) + 2) for height in heights)


def test_every_variant_stands_on_a_known_run_and_beside_a_known_row() -> None:
    for variant in VARIANTS:
        assert variant.training in TRAININGS
        if variant.paper is not None:
            assert variant.paper[1] in read_table(variant.paper[0]).rows
        resolve("small", settings=[*TRAININGS[variant.training], *variant.settings])
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--categories", "botle"], "'botle'.*bottle"),
        (["--set", "training.bach=3"], "training.bach"),
        (["--only", "segmenter"], "runs of the ablation"),
        (["--strips", "looks"], "runs of the ablation"),
        (["--max-time", "soon"], "not a duration"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_trained(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert run("reproduce", "mvtec", *words(root, tmp_path), *more) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "runs").exists()
    assert run("reproduce", "mvtec", *words(root, tmp_path, seeds=0)) == 2
    assert "at least one seed" in capsys.readouterr().err


def test_a_category_without_defective_test_pictures_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "sets" / "plain")
    shutil.rmtree(tmp_path / "sets" / "plain" / "test" / "bar")
    assert run("reproduce", "mvtec", *words(tmp_path / "sets", tmp_path)) == 2
    assert "no test pictures both good and defective" in capsys.readouterr().err


def test_results_with_other_columns_are_left_alone(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mvtec.csv").write_text("a,b\n1,2\n")
    assert run("reproduce", "mvtec", *words(root, tmp_path)) == 2
    assert "has other columns" in capsys.readouterr().err
    assert (tmp_path / "results" / "mvtec.csv").read_text() == "a,b\n1,2\n"


def test_a_line_that_a_crash_cut_off_spoils_neither_the_old_rows_nor_the_next(tmp_path: Path) -> None:
    path, row = tmp_path / "r.csv", dict.fromkeys(COLUMNS, "1")
    append_row(path, row)
    with path.open("a") as stream:
        stream.write("2,2")
    append_row(path, {**row, "category": 'a, "b"'})
    assert [found["category"] for found in read_rows(path)] == ["1", 'a, "b"']
    assert len(list(csv.reader(path.read_text().splitlines()))) == 4


def test_the_config_key_forgets_the_seed_and_nothing_else() -> None:
    key = config_key(resolve("tiny"))
    assert config_key(resolve("tiny", settings=["seed=5"])) == key
    assert config_key(resolve("tiny", settings=["top_k=49"])) != key
    assert config_key(resolve("small")) != key


def test_sizes_are_those_of_the_paper_and_of_real_tensors() -> None:
    for preset, passes in (("journal", (2, 1)), ("paper-v1", (2, 2))):
        denoiser, segmenter = measure_sizes(resolve(preset))
        assert (denoiser.parameters, segmenter.parameters) == (131_654_403, 28_373_569)
        assert denoiser.gmac == pytest.approx(281.6, abs=0.05)
        assert segmenter.gmac == pytest.approx(38.0, abs=0.05)
        assert (denoiser.passes, segmenter.passes) == passes
    (alone,) = measure_sizes(resolve("tiny", settings=["networks=segmenter", "data.size=[64, 64]"]))
    (larger,) = measure_sizes(resolve("tiny", settings=["networks=segmenter", "data.size=[128, 64]"]))
    assert larger.activation_bytes == pytest.approx(2 * alone.activation_bytes, rel=0.01)
    assert larger.gmac == pytest.approx(2 * alone.gmac, rel=0.01)
    names = [size.name for size in measure_sizes(resolve("tiny", settings=["networks=autoencoder+segmenter"]))]
    assert names == ["autoencoder", "segmenter"]


def test_a_step_is_measured_and_times_are_for_people() -> None:
    step = time_a_step(resolve("tiny", settings=SMALL), "cpu")
    assert step.batch == 4
    assert step.seconds_per_image is not None
    assert 0 < step.seconds_per_image < 60
    assert [duration(seconds) for seconds in (5, 200, 9000, 400000)] == [
        "5 seconds", "3.3 minutes", "2.5 hours", "4.6 days"
    ]  # fmt: skip


def test_info_tells_a_preset_without_training(capsys: pytest.CaptureFixture[str]) -> None:
    setting = [word for each in SMALL for word in ("--set", each)]
    assert run("info", "--preset", "tiny", *setting, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [network["name"] for network in told["networks"]] == ["denoiser", "segmenter"]
    assert [(noise["step"], noise["sigma"]) for noise in told["noise"]] == [
        (331, pytest.approx(1.447, abs=0.002)),
        (530, pytest.approx(4.08, abs=0.02)),
    ]
    assert told["run"]["seconds"] == 260.0
    assert told["seconds_per_training_image"] > 0
    for wrong in ([], ["somewhere", "--preset", "tiny"], ["--preset", "tinny"]):
        assert run("info", *wrong) == 2
