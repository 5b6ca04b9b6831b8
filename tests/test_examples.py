"""The examples run as they are printed."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *words: object) -> None:
    runpy.run_path(str(EXAMPLES / name))["main"](*map(str, words))


def test_train_and_judge(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("01_train_and_judge.py", data, data / "test", tmp_path, 1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert all(line.split()[0] in ("good", "anomalous") for line in lines[1:])


def test_judge_an_array(data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = next((data / "test" / "bar").iterdir())
    run("02_judge_an_array.py", trained / "bundle", picture, tmp_path / "norm.png")
    assert "threshold" in capsys.readouterr().out
    assert np.asarray(Image.open(tmp_path / "norm.png")).shape == (32, 32, 3)


def test_large_pictures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = tmp_path / "large.png"
    Image.open(next((data / "test" / "good").iterdir())).resize((300, 200)).save(large)
    run("03_large_pictures.py", data, large, tmp_path / "run", 1, 256)
    assert "regions of (200, 300) pixels" in capsys.readouterr().out
