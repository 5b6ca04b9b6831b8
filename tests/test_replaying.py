"""Replaying finds nothing where nothing changed, and every change where something did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from diffusionad import Inspector
from diffusionad.bundle import install_bundle, load_bundle, recalibrate
from diffusionad.calibration import calibrate
from diffusionad.cli import main
from diffusionad.errors import DataError
from diffusionad.files import file_hash
from diffusionad.prediction import predict
from diffusionad.replaying import ACROSS, replay


@pytest.fixture
def judged(trained: Path, data: Path, tmp_path: Path) -> Path:
    """Verdicts on copies of pictures, one of them broken."""
    folder = tmp_path / "pictures"
    shutil.copytree(data / "test" / "bar", folder)
    shutil.copytree(data / "test" / "good", folder / "good")
    (folder / "broken.png").write_bytes(b"")
    predict(Inspector.load(trained / "bundle"), sorted(folder.rglob("*.png")), tmp_path / "verdicts", overlays=False)
    return tmp_path / "verdicts" / "verdicts.jsonl"


def test_nothing_changed_nothing_differs_to_the_last_bit(trained: Path, judged: Path) -> None:
    found = replay(judged, Inspector.load(trained / "bundle"))
    assert (found.same, found.rounded, found.differences, found.elsewhere, found.exit_code) == (13, 0, (), 0, 0)


def test_another_runtime_may_round_otherwise_and_says_so(trained: Path, judged: Path) -> None:
    found = replay(judged, Inspector.load(trained / "bundle", "torch"))
    assert (found.same, found.differences, found.elsewhere) == (13, (), 13)
    assert 0 < found.rounded <= 12
    assert ACROSS < 0.01


def test_another_picture_under_the_name_and_a_lost_one_are_found(trained: Path, judged: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    shutil.copyfile(folder / "000.png", folder / "good" / "000.png")
    (folder / "good" / "001.png").unlink()
    found = replay(judged, Inspector.load(trained / "bundle"))
    told = {Path(one.path).relative_to(folder).as_posix(): one.what for one in found.differences}
    assert told["good/001.png"] == "unreadable"
    assert told["good/000.png"] in ("verdict", "score")
    assert (len(told), found.same, found.exit_code) == (2, 11, 3)


def test_another_threshold_is_another_bundle(trained: Path, judged: Path, tmp_path: Path) -> None:
    bundle = install_bundle(load_bundle(trained / "bundle"), tmp_path / "bundle")
    recalibrate(bundle, calibrate([n / 1000 for n in range(40)], 0.1, artifact=file_hash(bundle.onnx)))
    found = replay(judged, Inspector.load(tmp_path / "bundle"))
    assert {one.what for one in found.differences} == {"bundle"}
    assert found.exit_code == 1


def test_a_changed_line_is_told_by_the_command(trained: Path, judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = judged.read_text().splitlines()
    changed = json.loads(lines[0])
    lines[0] = json.dumps({**changed, "score": changed["score"] + 1e-9})
    judged.write_text("\n".join(lines) + "\n")
    with pytest.raises(SystemExit) as leaving:
        main(["replay", str(judged), str(trained / "bundle"), "--json"])
    assert leaving.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["what"] for one in told["differences"]] == ["score"]


def test_an_empty_file_is_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "verdicts.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no verdict"):
        replay(tmp_path / "verdicts.jsonl", Inspector.load(trained / "bundle"))
