"""The command line as a person meets it: outputs, exit codes, one sentence for every fault."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from diffusionad.cli import main
from diffusionad.cli.screen import seconds, share
from diffusionad.errors import UsageError


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command run in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, out, err


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(trained / "bundle", tmp_path / "bundle"))


COMMANDS = (
    *(
        "demo",
        "train",
        "calibrate",
        "evaluate",
        "predict",
        "compare",
        "rejudge",
        "replay",
        "benchmark",
        "import-data",
        "export",
        "feedback",
        "info",
        "datasets",
        "doctor",
    ),
    "report",
)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom diffusionad.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'onnxruntime', 'pydantic', 'PIL', 'jinja2') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")
    for command in COMMANDS:
        assert command in result.stdout


@pytest.mark.parametrize("command", [*COMMANDS[:-1], "report lot"])
def test_every_command_has_help_with_an_example_and_json(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, _ = call(capsys, *command.split(), "--help")
    assert code == 0
    assert f"diffusionad {command}" in out
    assert "--json" in out


def test_the_whole_path_from_data_to_verdicts(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "evaluate", bundle, data, "--out", tmp_path / "evaluation", "--json")
    assert code == 0
    printed = json.loads(out)
    stored = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert printed == stored
    assert set(printed["kinds"]) == {"bar"}
    with (tmp_path / "evaluation" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    truth, scores = [row["defect"] != "good" for row in rows], [float(row["score"]) for row in rows]
    assert printed["figures"]["image_auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert len((tmp_path / "evaluation" / "predictions.csv").read_text().splitlines()) == 13
    assert "<script" in (tmp_path / "evaluation" / "report.html").read_text()
    assert len(list((tmp_path / "evaluation" / "overlays").rglob("*.png"))) == 12

    code, out, _ = call(capsys, "info", bundle, "--json")
    assert code == 0
    assert json.loads(out)["threshold"] == printed["threshold"]


def test_predict_exit_codes_say_what_was_found(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(*paths: object) -> tuple[int, list[dict[str, object]]]:
        code, _, _ = call(capsys, "predict", bundle, *paths, "--out", tmp_path / "out")
        lines = (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()
        return code, [json.loads(line) for line in lines]

    odd = tmp_path / "odd names"
    odd.mkdir()
    scores = json.loads((bundle / "calibration.json").read_text())["scores"]
    _, verdicts = predict(data / "train" / "good", data / "test")
    assert len(verdicts) == 52
    good = [v for v in verdicts if v["verdict"] == "good"]
    bad = [v for v in verdicts if v["verdict"] == "anomalous"]
    assert good
    assert bad
    assert all(v["score"] <= max(scores) for v in good)  # type: ignore[operator]
    shutil.copy(str(good[0]["path"]), odd / "ünï cødé\nand a line.png")
    code, verdicts = predict(odd)
    assert (code, len(verdicts)) == (0, 1)
    assert verdicts[0]["score"] == good[0]["score"]
    code, verdicts = predict(odd, str(bad[0]["path"]))
    assert (code, [v["verdict"] for v in verdicts]) == (1, ["good", "anomalous"])
    assert verdicts[1]["regions"]
    (odd / "broken.png").write_bytes(b"")
    code, verdicts = predict(str(odd / "*.png"))
    assert code == 3
    assert sorted(str(v["verdict"]) for v in verdicts) == ["error", "good"]


def test_calibrate_replaces_the_threshold_and_refuses_training_pictures(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((bundle / "calibration.json").read_text())
    code, _, err = call(capsys, "calibrate", bundle, data / "train" / "good")
    assert code == 2
    assert "trained this bundle" in err
    assert json.loads((bundle / "calibration.json").read_text()) == before
    code, _, err = call(capsys, "calibrate", bundle, data, "--false-alarms", "1/5")
    assert (code, "6 good pictures are too few" in err) == (2, True)
    assert json.loads((bundle / "calibration.json").read_text()) == before
    rng, parts = np.random.default_rng(9), tmp_path / "parts"
    parts.mkdir()
    for number in range(12):
        pixels = np.clip(rng.normal(150 + number, 5, (48, 48, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(parts / f"{number}.png")
    code, out, _ = call(capsys, "calibrate", bundle, parts, "--false-alarms", "1/5", "--unlike", "--json")
    assert code == 0
    after = json.loads((bundle / "calibration.json").read_text())
    assert after["n"] == 12
    assert after["threshold"] == json.loads(out)["threshold"] != before["threshold"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "DATA", "--out", "OUT", "--preset", "smal"], 'did you mean "small"'),
        (["train", "DATA", "--out", "OUT", "--set", "training.bach=4"], 'did you mean "batch"'),
        (["train", "DATA", "--out", "OUT", "--max-time", "soon"], "is not a duration"),
        (["train", "DATA", "--out", "OUT", "--layout", "visual"], "layout"),
        (["train", "NOWHERE", "--out", "OUT"], "NOWHERE"),
        (["train", "DATA", "--out", "OUT", "--device", "tpu"], "tpu"),
        (["predict", "BUNDLE", "NOWHERE", "--out", "OUT"], "NOWHERE"),
        (["predict", "DATA", "DATA", "--out", "OUT"], "is not a bundle"),
        (["evaluate", "BUNDLE", "DATA/train/good", "--out", "OUT"], "No test picture"),
        (["calibrate", "BUNDLE", "DATA", "--false-alarms", "2"], "between 0 and 1"),
        (["paint"], "paint"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    data: Path,
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    places = {"DATA": data, "OUT": tmp_path / "out", "BUNDLE": bundle, "NOWHERE": tmp_path / "NOWHERE"}
    given = [words[0]]
    for word in words[1:]:
        head, slash, tail = word.partition("/")
        given.append(str(places[head]) + slash + tail if head in places else word)
    code, out, err = call(capsys, *given)
    assert code == 2
    assert sentence in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("harm", ["flip", "missing", "newer"])
def test_a_harmed_bundle_judges_nothing(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    from diffusionad.files import file_hash

    if harm == "flip":
        content = bytearray((bundle / "model.onnx").read_bytes())
        content[len(content) // 2] ^= 1
        (bundle / "model.onnx").write_bytes(bytes(content))
    elif harm == "missing":
        (bundle / "model.onnx").unlink()
    else:
        settings = json.loads((bundle / "config.json").read_text())
        (bundle / "config.json").write_text(json.dumps({**settings, "schema_version": 99}))
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["config.json"] = file_hash(bundle / "config.json")
        (bundle / "manifest.json").write_text(json.dumps(manifest))
    code, _, err = call(capsys, "predict", bundle, data / "test", "--out", tmp_path / "out")
    assert code == 2
    assert {"flip": "sha256 differs", "missing": "is missing", "newer": "install a newer diffusionad"}[harm] in err
    assert not (tmp_path / "out").exists()


def test_errors_are_json_when_json_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "info", tmp_path, "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "bundle"


def test_a_mask_of_another_size_is_named(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = shutil.copytree(data, tmp_path / "part")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(changed / "ground_truth" / "bar" / "000_mask.png")
    code, _, err = call(capsys, "evaluate", bundle, changed, "--out", tmp_path / "out")
    assert code == 2
    assert "000_mask.png" in err


def test_missing_masks_leave_pixel_figures_unmeasured(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = shutil.copytree(data, tmp_path / "part")
    (changed / "ground_truth" / "bar" / "000_mask.png").unlink()
    code, out, _ = call(capsys, "evaluate", bundle, changed, "--out", tmp_path / "out", "--json")
    assert code == 0
    figures = json.loads(out)["figures"]
    assert figures["pixel_auroc"] is None
    assert figures["image_auroc"] is not None


def test_dry_run_plans_and_writes_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "train", data, "--out", tmp_path / "run", "--preset", "tiny", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["config"]["preset"] == "tiny"
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_predict_and_keeps_its_lines(data: Path, bundle: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    out = tmp_path / "out"
    out.mkdir()
    (out / "verdicts.jsonl").symlink_to("/dev/full")
    result = subprocess.run(
        [sys.executable, "-m", "diffusionad", "predict", str(bundle), str(data / "test"), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert result.returncode == 4
    assert "disk is full" in result.stderr


@pytest.mark.parametrize(("text", "value"), [("20m", 1200), ("90s", 90), ("1h30m", 5400), ("600", 600), ("0.5m", 30)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "m", "-3m", "0s", "3 m", "1h30", "soon"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError):
        seconds(text)


@pytest.mark.parametrize(("text", "value"), [("0.01", 0.01), ("1/500", 0.002), ("1%", 0.01), (".5", 0.5)])
def test_shares(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["0", "1", "2/1", "1/0.0", "one", "-0.1", "nan", ""])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError):
        share(text)
