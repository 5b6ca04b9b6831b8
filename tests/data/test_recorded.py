"""Which recording a picture comes from: the table before the folder before the day, and what is missing is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from diffusionad.data import day_in, find_samples, labels
from diffusionad.data.pictures import recording_day
from diffusionad.errors import DataError, UsageError
from diffusionad.structures import Sample


def sample(path: str, *, session: str | None = None, camera: str | None = None, category: str = "part") -> Sample:
    return Sample(Path(path), "train", category, "good", session=session, camera=camera)


def test_sessions_come_from_the_table_else_the_folder_else_the_day() -> None:
    named = [sample("a/1.png", session="early"), sample("b/2.png")]
    assert labels(named, "session") == ["early", "no name"]
    assert labels([sample("a/1.png"), sample("b/2.png")], "session") == ["a", "b"]
    days = [sample("a/20261122_1.png"), sample("a/2026-11-23.png")]
    assert labels(days, "session") == ["2026-11-22", "2026-11-23"]
    assert labels([*days, sample("a/3.png")], "session") == ["a", "a", "a"]


def test_cameras_and_products_come_from_the_table_else_the_folder() -> None:
    assert labels([sample("a/1.png", camera="top"), sample("a/2.png", camera="side")], "camera") == ["top", "side"]
    assert labels([sample("a/1.png"), sample("b/2.png")], "camera") == ["a", "b"]
    assert labels([sample("a/1.png", category="x"), sample("a/2.png", category="y")], "product") == ["x", "y"]
    assert labels([sample("a/1.png"), sample("b/2.png")], "product") == ["a", "b"]
    assert labels([sample("a/1.png", session="early"), sample("b/2.png")], "folder") == ["a", "b"]


def test_what_is_missing_is_named() -> None:
    with pytest.raises(DataError, match=r"'a/2\.png' has no camera") as caught:
        labels([sample("a/1.png", camera="top"), sample("a/2.png")], "camera")
    assert caught.value.code == "data.labels"
    with pytest.raises(DataError, match=r"'a/2\.png' has no day of recording"):
        labels([sample("a/20261122.png"), sample("a/2.png")], "date")
    with pytest.raises(UsageError, match=r'told apart by "shift".*session, camera, product, folder, date'):
        labels([sample("a/1.png")], "shift")


def test_the_day_in_a_file_comes_before_that_in_its_name(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2026:11:20 10:00:00"
    path = tmp_path / "20261122.jpg"
    Image.new("RGB", (16, 16)).save(path, exif=exif)
    assert recording_day(path) == date(2026, 11, 20)
    assert labels([sample(str(path))], "date") == ["2026-11-20"]
    (tmp_path / "20261123.png").write_bytes(b"no picture")
    assert recording_day(tmp_path / "20261123.png") is None
    assert labels([sample(str(tmp_path / "20261123.png"))], "date") == ["2026-11-23"]
    assert day_in("part_20261399.png") is None


def test_a_manifest_names_cameras(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    table = tmp_path / "table.csv"
    table.write_text("path,label,camera,session\n1.png,good,top,early\n2.png,good,,late\n")
    assert [(one.camera, one.session) for one in find_samples(table)] == [("top", "early"), (None, "late")]
