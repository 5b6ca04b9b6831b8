"""The cases of docs/bad-input.md from file to verdict, and that each of them names tests that exist."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad import Inspector
from diffusionad.cli import main
from diffusionad.config import resolve
from diffusionad.data import read_picture
from diffusionad.errors import PictureError, TooFewPicturesError
from diffusionad.evaluation import evaluate
from diffusionad.prediction import predict
from diffusionad.report.records import as_csv
from diffusionad.structures import GOOD, Sample, Verdict
from diffusionad.training import data as training_data
from diffusionad.training.data import read_good_pictures

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 64, 3), dtype=np.uint8)


def encoded(array: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(str(ended.value.code))


def tiff(strips: int = 1, **changed: int) -> bytes:
    """A little-endian grey TIFF of 16 x 16 pixels, written by hand, with some tags as no file should have them."""
    tags = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 8 + 2 + 9 * 12 + 4, 277: 1, 278: 16, 279: 256}
    tags |= {int(name.removeprefix("tag")): value for name, value in changed.items()}
    entries = b"".join(
        struct.pack("<HHII", tag, 4, strips if tag == 273 else 1, value) for tag, value in sorted(tags.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + bytes(256)


def faulty() -> dict[str, tuple[bytes, str]]:
    """Name, content and code of pictures that no one may call good; the numbers are those of docs/bad-input.md."""
    jpeg, png = encoded(COLOURS, "JPEG"), encoded(COLOURS, "PNG")
    pages = io.BytesIO()
    first = Image.fromarray(COLOURS)
    first.save(pages, "TIFF", save_all=True, append_images=[first])
    frames = io.BytesIO()
    first.save(frames, "WEBP", save_all=True, append_images=[first.rotate(90)])
    endless = np.where(np.arange(64) == 5, np.nan, 1.0).astype(np.float32)
    return {
        "01_empty.png": (b"", "picture.empty"),
        "02_text.png": (b"no picture at all", "picture.unknown_format"),
        "03_cut.jpg": (jpeg[: len(jpeg) // 2], "picture.truncated"),
        "04_cut.png": (png[: len(png) // 2], "picture.truncated"),
        "06_bomb.bmp": (b"BM" + struct.pack("<IIIIiiHHIIiiII", 0, 0, 54, 40, 20_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0),
                        "picture.too_large"),
        "07_channels.tif": (tiff(tag277=60_000), "picture."),
        "07_strips.tif": (tiff(strips=2**31 - 1), "picture."),
        "07_width.tif": (tiff(tag256=4_000_000_000), "picture.too_large"),
        "08_one.png": (encoded(COLOURS[:1, :1], "PNG"), "picture.too_small"),
        "08_line.png": (encoded(np.zeros((3, 20_000), np.uint8), "PNG"), "picture.too_small"),
        "11_nan.tif": (encoded(np.tile(endless, (16, 1)), "TIFF"), "picture.nonfinite"),
        "16_pages.tif": (pages.getvalue(), "picture.unsupported"),
        "16_frames.webp": (frames.getvalue(), "picture.unsupported"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def inspector(trained: Path) -> Inspector:
    return Inspector.load(trained / "bundle")


def test_faulty_pictures_are_errors_and_the_others_go_on(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = tmp_path / "line"
    line.mkdir()
    for name, (content, _) in faulty().items():
        (line / name).write_bytes(content)
    shutil.copy(data / "train" / "good" / "000.png", line / "99_sound.png")
    code = call("predict", trained / "bundle", line, "--out", tmp_path / "out")
    capsys.readouterr()
    verdicts = [json.loads(row) for row in (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert code == 3
    assert [Path(one["path"]).name for one in verdicts] == [*sorted(faulty()), "99_sound.png"]
    for verdict in verdicts[:-1]:
        _, expected = faulty()[Path(verdict["path"]).name]
        assert (verdict["verdict"], verdict["score"]) == ("error", None)
        assert verdict["error_code"].startswith(expected)
    assert verdicts[-1]["verdict"] in ("good", "anomalous")


@pytest.mark.parametrize("name", ["06_bomb.bmp", "07_channels.tif", "07_strips.tif", "07_width.tif"])
def test_insane_headers_are_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(faulty()[name][0])
    begun = time.perf_counter()
    with pytest.raises(PictureError):
        read_picture(tmp_path / name)
    assert time.perf_counter() - begun < 1


def test_five_channels_are_never_taken_for_three(tmp_path: Path) -> None:
    """A multi-light stack: planes one after the other, five samples a pixel."""
    (tmp_path / "stack.tif").write_bytes(tiff(tag277=5, tag279=1280) + bytes(1280))
    with pytest.raises(PictureError):
        read_picture(tmp_path / "stack.tif")


def test_a_flipped_byte_makes_other_pictures_of_a_set(data: Path, tmp_path: Path) -> None:
    """It may decode without a word; a run that began on the sound file does not go on with it."""
    root = tmp_path / "good"
    root.mkdir()
    for index in range(10):
        Image.open(data / "train" / "good" / f"{index:03d}.png").save(root / f"{index}.jpg")
    config = resolve("tiny", settings=["data.size=[32, 32]"])
    before = read_good_pictures(root, config, "auto", None, spill=tmp_path / "spill")
    content = bytearray((root / "4.jpg").read_bytes())
    content[-20] ^= 1
    (root / "4.jpg").write_bytes(content)
    after = read_good_pictures(root, config, "auto", None, spill=tmp_path / "spill")
    assert not after.unreadable
    assert after.key != before.key


def test_names_longer_than_the_disk_allows_are_one_sentence(tmp_path: Path, inspector: Inspector) -> None:
    verdict = inspector(tmp_path / ("n" * 300 + ".png"))
    assert (verdict.verdict, verdict.error_code) == ("error", "picture.unreadable")
    assert verdict.error
    assert "\n" not in verdict.error


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a,b\n=1", '"=1"'])
def test_no_spreadsheet_takes_a_name_for_a_formula(name: str) -> None:
    verdict = Verdict(f"{name}.png", "error", float("nan"), None, None, (), (0, 0), 0.0, error=f"{name} is broken.")
    rows = list(csv.reader(io.StringIO(as_csv([(verdict, name)]), newline="")))
    assert len(rows) == 2
    for cell in rows[1]:
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert rows[1][0].removeprefix("'") == f"{name}.png"


def test_hostile_names_of_files_and_defects_stay_text_in_every_output(
    data: Path, tmp_path: Path, inspector: Inspector
) -> None:
    name = "<script>alert(1)<!-- =cmd().png"
    shutil.copy(data / "train" / "good" / "000.png", tmp_path / name)
    shutil.copy(data / "test" / "bar" / "000.png", tmp_path / "bad.png")
    samples = [
        Sample(tmp_path / name, "test", "part", GOOD),
        Sample(tmp_path / "bad.png", "test", "part", "=<script>alert(2)<"),
    ]
    evaluate(inspector, samples, tmp_path / "out", data="<script>alert(3)</script>")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "alert(1)" in page
    assert not re.search(r"<script>\s*alert", page)
    rows = list(csv.reader(io.StringIO((tmp_path / "out" / "predictions.csv").read_bytes().decode(), newline="")))
    assert rows[2][1] == "'=<script>alert(2)<"


def test_links_out_of_the_folder_and_in_circles_are_not_judged(
    data: Path, tmp_path: Path, inspector: Inspector
) -> None:
    line, outside = tmp_path / "line", tmp_path / "outside"
    line.mkdir()
    outside.mkdir()
    for place in (line / "0.png", outside / "secret.png"):
        shutil.copy(data / "train" / "good" / "000.png", place)
    (line / "out.png").symlink_to(outside / "secret.png")
    (line / "circle").symlink_to(line)
    (line / "self.png").symlink_to(line / "self.png")
    (line / "nowhere.png").symlink_to(line / "nothing.png")
    assert call("predict", inspector.bundle.folder, line, "--out", tmp_path / "out") in (0, 1)
    verdicts = [json.loads(row) for row in (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert [Path(one["path"]).name for one in verdicts] == ["0.png"]


def test_pictures_that_vanish_before_or_after_they_are_judged(data: Path, tmp_path: Path, inspector: Inspector) -> None:
    for index in range(4):
        shutil.copy(data / "train" / "good" / f"{index:03d}.png", tmp_path / f"{index}.png")

    def coming() -> Iterator[Path]:
        for index in range(4):
            if index == 1:
                (tmp_path / "1.png").unlink()
            yield tmp_path / f"{index}.png"

    def watched(verdict: Verdict) -> None:
        seen.append(verdict)

    seen: list[Verdict] = []
    counts = predict(Vanishing(inspector, "2.png"), coming(), tmp_path / "out", seen=watched)  # type: ignore[arg-type]
    assert (counts.total, counts.error) == (4, 1)
    assert [verdict.error_code for verdict in seen] == [None, "picture.missing", None, None]
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 2


def test_a_test_picture_that_vanishes_after_it_was_judged_counts_nowhere(
    data: Path, tmp_path: Path, inspector: Inspector
) -> None:
    samples = []
    for index in range(3):
        shutil.copy(data / "train" / "good" / f"{index:03d}.png", tmp_path / f"{index}.png")
        samples.append(Sample(tmp_path / f"{index}.png", "test", "part", GOOD))
    found = evaluate(Vanishing(inspector, "1.png"), samples, tmp_path / "out", data="set")  # type: ignore[arg-type]
    assert [Path(path).name for path, _ in found.unjudged] == ["1.png"]
    assert found.overkill[1] == 2


class Vanishing:
    """An inspector; one of the files is gone as soon as it has been judged."""

    def __init__(self, inspector: Inspector, name: str) -> None:
        self._inspector, self._name = inspector, name

    def __call__(self, path: Path, group: str | None = None, full_map: bool = False) -> Verdict:
        verdict = self._inspector(path, group, full_map=full_map)
        if path.name == self._name:
            path.unlink()
        return verdict

    def stream(self, sources: Iterable[Path], group: str | None = None, full_map: bool = False) -> Iterator[Verdict]:
        return (self(source, group, full_map) for source in sources)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inspector, name)


def test_a_training_picture_that_vanishes_while_it_is_read_is_left_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(11):
        shutil.copy(data / "train" / "good" / f"{index:03d}.png", tmp_path / f"{index:02d}.png")
    hashed = training_data.file_hash

    def gone(path: Path) -> str:
        if path.name == "05.png":
            path.unlink()
        return hashed(path)

    monkeypatch.setattr(training_data, "file_hash", gone)
    config = resolve("tiny", settings=["data.size=[32, 32]"])
    good = read_good_pictures(tmp_path, config, "auto", None, spill=tmp_path / "spill")
    assert [Path(path).name for path, _ in good.unreadable] == ["05.png"]
    (tmp_path / "06.png").unlink()
    with pytest.raises(TooFewPicturesError):
        read_good_pictures(tmp_path, config, "auto", None, spill=tmp_path / "spill")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_calibration_pictures_without_permission_are_left_out(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, good = tmp_path / "bundle", tmp_path / "good"
    shutil.copytree(trained / "bundle", bundle)
    shutil.copytree(data / "test" / "good", good)
    (good / "000.png").chmod(0)
    assert call("calibrate", bundle, good) == 3
    assert "cannot be opened" in capsys.readouterr().out


def test_other_sizes_are_judged_at_their_own(inspector: Inspector) -> None:
    for shape in ((48, 48, 3), (300, 20, 3), (9, 400, 3)):
        verdict = inspector(np.full(shape, 120, np.uint8))
        assert verdict.native_size == shape[:2]
        assert replace(verdict, verdict="good").judged_share == 1.0


def cases() -> dict[int, str]:
    """Number and tests of every row of the table in docs/bad-input.md."""
    text = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    return {int(number): tests for number, tests in rows}


def test_every_case_of_the_table_names_tests_that_exist() -> None:
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    found = cases()
    assert list(found) == list(range(1, 33))
    for number, tests in found.items():
        named = re.findall(r"`(test_\w+)`", tests)
        assert named or "not built" in tests, number
        assert not set(named) - known, number
