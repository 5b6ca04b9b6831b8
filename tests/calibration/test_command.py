"""`calibrate`, and what `predict` and `evaluate` make of it: promises, refusals, groups, sessions, review, lots."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusionad.bundle import Bundle, load_bundle
from diffusionad.calibration import calibrate as find_threshold
from diffusionad.cli import main
from diffusionad.data import find_samples
from diffusionad.errors import BundleError, CalibrationError, UsageError
from diffusionad.files import file_hash
from diffusionad.inspector import Inspector
from diffusionad.recalibration import Wanted, find_calibration

from .conftest import write_dark_bundle, write_onnx, write_parts


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command run in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, out, err


def refused(capsys: pytest.CaptureFixture[str], bundle: Path, *words: object) -> dict[str, str]:
    """The error of a `calibrate` that must change nothing."""
    before = (bundle / "manifest.json").read_bytes()
    code, out, _ = call(capsys, "calibrate", bundle, *words, "--json")
    assert code == 2
    assert (bundle / "manifest.json").read_bytes() == before
    error: dict[str, str] = json.loads(out)["error"]
    return error


def test_the_stored_calibration_is_that_of_the_scores(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_parts(tmp_path / "good", 60, 2)
    code, out, _ = call(
        capsys, "calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/20", "--sure", "90%", "--json"
    )
    assert code == 0
    told, stored = json.loads(out), load_bundle(dark_bundle.folder).calibration
    assert stored is not None
    scores = [Inspector.load(dark_bundle.folder)(path).score for path in paths]
    expected = find_threshold(scores, 0.05, sure=0.9)
    assert (stored.scores, stored.threshold, stored.promised) == (
        expected.scores,
        expected.threshold,
        expected.promised,
    )
    assert told["sentence"] == stored.sentence()
    assert "90 % sure that at most 1 in 2" in told["sentence"]
    assert "All are of one session ('good'): nothing is promised for others." in told["sentence"]
    assert stored.artifact == file_hash(dark_bundle.folder / "model.onnx")
    verdict = Inspector.load(dark_bundle.folder)(paths[0])
    place = stored.scores.index(verdict.score)
    assert {name: values[place] for name, values in stored.conditions.items()} == verdict.conditions


def test_too_few_say_what_can_be_promised_and_how_many_more(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parts(tmp_path / "good", 40, 2)
    error = refused(capsys, dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/500", "--sure", "90%")
    assert error["code"] == "calibration.too_few"
    assert "40 good pictures are too few to promise 1 in 500, 90 % sure: the best is 1 in 17" in error["message"]
    assert "calibrate with 1151 pictures (1111 more)" in error["message"]
    code, out, _ = call(
        capsys, "calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/17", "--sure", "90%", "--json"
    )
    assert (code, json.loads(out)["n"]) == (0, 40)


def test_what_no_threshold_comes_from(dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On 1 picture, 9, copies, identical ones, training pictures, or shares that cannot be: a sentence, exit code 2."""
    good, bundle = tmp_path / "good", dark_bundle.folder
    paths = write_parts(good, 1, 2)
    assert "fewer than 10 nothing can be promised" in refused(capsys, bundle, good, "--false-alarms", "1/2")["message"]
    for number in range(30):
        shutil.copy(paths[0], good / f"copy{number}.png")
    assert "1 good picture is too few" in refused(capsys, bundle, good, "--false-alarms", "1/5")["message"]
    for number in range(30):  # other files, the same pixels
        Image.open(paths[0]).save(good / f"copy{number}.png", compress_level=number % 9, dpi=(number + 1, 1))
    error = refused(capsys, bundle, good, "--false-alarms", "1/5")
    assert (error["code"], "scores are" in error["message"]) == ("calibration", True)
    write_parts(tmp_path / "mixed", 30, 3)
    shutil.copy(tmp_path / "trained" / "001.png", tmp_path / "mixed" / "old.png")
    assert refused(capsys, bundle, tmp_path / "mixed")["code"] == "calibration.trained_on"
    for share in ("0", "1", "1.5", "-0.1", "nan"):
        assert "share" in refused(capsys, bundle, tmp_path / "mixed", f"--false-alarms={share}")["message"]
        assert "share" in refused(capsys, bundle, tmp_path / "mixed", f"--sure={share}")["message"]
    (tmp_path / "nothing").mkdir()
    assert refused(capsys, bundle, tmp_path / "nothing")["message"]


def test_cameras_without_a_name_and_tiles_without_defects_are_refused(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_parts(tmp_path / "good", 20, 2)
    rows = [f"{path},good,{'top' if number else ''}" for number, path in enumerate(paths)]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,camera", *rows]) + "\n")
    words = ["--false-alarms", "1/20"]
    error = refused(capsys, dark_bundle.folder, tmp_path / "table.csv", *words, "--by", "camera")
    assert (error["code"], str(paths[0]) in error["message"]) == ("data.labels", True)
    error = refused(capsys, dark_bundle.folder, tmp_path / "good", *words, "--by", "date")
    assert error["code"] == "data.labels"
    config = dark_bundle.config.model_copy(update={"data": dark_bundle.config.data.model_copy(update={"fit": "tile"})})
    tiled = Inspector(replace(dark_bundle, config=config), lambda image: (-image[0] / 2 + 0.5, image))
    samples = [sample for sample in find_samples(tmp_path / "good") if sample.is_good]
    with pytest.raises(UsageError, match="give 30 with --defects"):
        find_calibration(tiled, samples, Wanted(0.05, escapes=0.1))


def test_a_network_that_answers_nan_calibrates_nothing(dark_bundle: Bundle, tmp_path: Path) -> None:
    write_parts(tmp_path / "good", 20, 2)
    broken = Inspector(dark_bundle, lambda image: (np.full_like(image[0], np.nan), image))
    with pytest.raises(CalibrationError, match="0 good pictures are too few"):
        find_calibration(broken, find_samples(tmp_path / "good"), Wanted(0.05))


def test_unreadable_pictures_are_left_out_and_told(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parts(tmp_path / "good", 20, 2)
    (tmp_path / "good" / "broken.png").write_bytes(b"nothing")
    code, out, _ = call(capsys, "calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/20")
    assert code == 3
    assert "left out:" in out
    assert "broken.png" in out
    for number in range(3):
        (tmp_path / "good" / f"{number:03d}.png").write_bytes(bytes([number]))
    error = refused(capsys, dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/20")
    assert "17 good pictures are too few" in error["message"]


def test_defects_given_as_good_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = find_threshold(np.random.default_rng(0).normal(0.3, 0.03, 20).tolist(), 0.1)
    bundle = write_dark_bundle(tmp_path / "run", write_parts(tmp_path / "trained", 3, 1), held).folder
    write_parts(tmp_path / "bad", 20, 2, dark=100)
    error = refused(capsys, bundle, tmp_path / "bad", "--false-alarms", "1/10")
    assert error["code"] == "calibration.unlike"
    assert "20 of 20 pictures score above all 20 good pictures held back" in error["message"]
    code, out, _ = call(capsys, "calibrate", bundle, tmp_path / "bad", "--false-alarms", "1/10", "--unlike", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["alike"] <= 0.001
    assert told["held_back"] == list(held.scores)
    write_parts(tmp_path / "good", 20, 3)  # compared with what training held back, not with the last calibration
    code, out, _ = call(capsys, "calibrate", bundle, tmp_path / "good", "--false-alarms", "1/10", "--json")
    assert (code, json.loads(out)["held_back"]) == (0, list(held.scores))


def test_sessions_are_judged_by_each_other(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, dark in (("monday", 0), ("tuesday", 0), ("wednesday", 60)):
        write_parts(tmp_path / "good" / day, 20, len(day), dark=dark)
    words = ["calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/20", "--by", "folder"]
    code, out, _ = call(capsys, *words)
    assert code == 0
    assert "worst 'wednesday', where 20 of 20 good pictures are called anomalous (100 %)" in out
    assert "warning: The sessions score differently" in out
    _, out, _ = call(capsys, *words, "--json")
    told = json.loads(out)
    assert told["held_sessions"][0] == {"session": "wednesday", "pictures": 20, "false_alarms": 20}
    assert told["sessions_alike"] <= 0.01
    card = (dark_bundle.folder / "card.md").read_text()
    assert "worst 'wednesday'" in card
    assert "one session" not in told["sentence"]


def test_groups_have_their_own_threshold_and_small_ones_that_of_all(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for camera, count, dark in (("left", 25, 0), ("right", 25, 60), ("top", 5, 0)):
        write_parts(tmp_path / "good" / camera, count, count + int(dark), dark=dark)
    words = ["calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/10", "--sure", "80%"]
    code, out, _ = call(capsys, *words, "--by", "camera", "--json")
    told = json.loads(out)
    assert code == 0
    assert set(told["groups"]) == {"left", "right"}
    assert told["groups"]["left"]["rule"] == "pac"
    assert told["pooled"] == ["top"]
    assert "threshold of all pictures holds for: 'top'" in told["sentence"]
    part = write_parts(tmp_path / "new" / "left" / "deep", 1, 9, dark=60)[0]
    inspector = Inspector.load(dark_bundle.folder)
    assert (inspector(part).group, inspector(part).verdict) == ("left", "anomalous")
    assert (inspector(part, "right").group, inspector(part, "right").verdict) == ("right", "good")
    assert inspector(part, "top").threshold == told["threshold"]
    code, out, _ = call(
        capsys, "predict", dark_bundle.folder, part, "--out", tmp_path / "out", "--group", "right", "--no-overlays"
    )
    assert code == 0
    code, _, err = call(capsys, "predict", dark_bundle.folder, part, "--out", tmp_path / "out", "--group", "lft")
    assert (code, "'left', 'right', 'top'" in err) == (2, True)
    tested = write_parts(tmp_path / "tested", 4, 8, dark=45)
    for camera, overkill in (("left", 4), ("right", 0)):
        rows = "".join(f"{path},good,test,{camera}\n" for path in tested)
        (tmp_path / "table.csv").write_text("path,label,split,camera\n" + rows)
        out = call(capsys, "evaluate", dark_bundle.folder, tmp_path / "table.csv", "--out", tmp_path / "out", "--json")[
            1
        ]
        assert json.loads(out)["overkill"] == [overkill, 4]
        assert json.loads(out)["promise"] == told["sentence"]


def test_evaluate_says_whether_the_promise_can_hold(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parts(tmp_path / "good", 40, 2)
    assert call(capsys, "calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/40")[0] == 0
    for name, dark, said in (
        ("alike", 0, "score alike as far as can be told"),
        ("other", 30, "warning: The good test"),
    ):
        write_parts(tmp_path / name / "train" / "good", 1, 4)
        write_parts(tmp_path / name / "test" / "good", 20, 5, dark=dark)
        out = call(capsys, "evaluate", dark_bundle.folder, tmp_path / name, "--out", tmp_path / "out" / name)[1]
        assert said in out
        assert "Promised: Made from 40 good pictures" in out


def test_review_lies_between_the_thresholds(
    dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parts(tmp_path / "good", 40, 2)
    write_parts(tmp_path / "bad", 40, 3, dark=12)
    words: list[Any] = ["calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/40"]
    code, out, _ = call(capsys, *words, "--defects", tmp_path / "bad", "--escapes", "10%", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["lower"]["source"], told["lower"]["n"]) == ("defects", 40)
    assert "at most 1 in 1" in told["sentence"]
    low, high = told["lower"]["threshold"], told["threshold"]
    assert low < high
    inspector = Inspector.load(dark_bundle.folder)
    judged = [inspector(path) for path in sorted((tmp_path / "good").iterdir())]
    assert sum(one.verdict == "review" for one in judged) == told["reviewed"] > 0
    assert all((one.verdict == "review") == (low <= one.score <= high) for one in judged)
    code, out, _ = call(capsys, *words, "--escapes", "10%")
    assert code == 0
    assert "NOT A GUARANTEE" in out
    (tmp_path / "few").mkdir()
    for path in sorted((tmp_path / "bad").iterdir())[:29]:
        shutil.copy(path, tmp_path / "few")
    code, out, _ = call(capsys, *words, "--defects", tmp_path / "few", "--json")
    assert json.loads(out)["lower"]["source"] == "planted"
    error = refused(capsys, dark_bundle.folder, *words[2:], "--defects", tmp_path / "bad", "--escapes", "1%")
    assert error["code"] == "calibration.too_few_defects"
    error = refused(capsys, dark_bundle.folder, *words[2:], "--defects", tmp_path / "good")
    assert error["code"] == "calibration.both"


def test_a_lot_is_told_as_a_whole(dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(tmp_path / "good", 60, 2)
    write_parts(tmp_path / "lot" / "a", 40, 3)
    odd = write_parts(tmp_path / "lot" / "b", 12, 4, dark=100)
    words = ["predict", dark_bundle.folder, tmp_path / "lot", "--out", tmp_path / "out", "--no-overlays"]
    code, _, err = call(capsys, *words, "--recheck", "10%")
    assert (code, "calibrated" in err) == (2, True)
    assert call(capsys, "calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/50")[0] == 0
    code, out, _ = call(capsys, *words, "--recheck", "10%", "--watch", "1%", "--json")
    told = json.loads(out)
    assert code == 1
    assert told["recheck"]["sentence"].startswith("Recheck these 12 of 52: on average at most 10 %")
    assert set(told["recheck"]["paths"]) == set(map(str, odd))
    assert told["drift"]["alarms"] == []  # defects are no drift
    words[2] = tmp_path / "lot" / "b" / "000.png"
    write_parts(tmp_path / "lot" / "c", 200, 5)
    code, _, err = call(capsys, *words, tmp_path / "lot" / "c", "--recheck", "1%")
    assert (code, "more)" in err) == (2, True)


def test_drift_names_its_cause(dark_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(tmp_path / "good", 60, 2)
    assert call(capsys, "calibrate", dark_bundle.folder, tmp_path / "good", "--false-alarms", "1/50")[0] == 0
    write_parts(tmp_path / "lot", 120, 3, dark=-14)
    words: list[Any] = ["predict", dark_bundle.folder, tmp_path / "lot", "--out", tmp_path / "out", "--no-overlays"]
    told = json.loads(call(capsys, *words, "--watch", "1%", "--json")[1])["drift"]
    place = told["alarms"][0]["place"]
    odd = write_parts(tmp_path / "brighter" / "0", 7, 4, dark=150)  # taken first, and above the threshold
    (tmp_path / "brighter" / "0" / "broken.png").write_bytes(b"")
    words[2] = odd[0].parent
    later = json.loads(call(capsys, *words, tmp_path / "lot", "--watch", "1%", "--json")[1])["drift"]
    assert later["alarms"][0]["place"] == place + 8
    _, out, _ = call(capsys, *words, tmp_path / "lot", "--watch", "1%")
    assert "pictures are brighter (likely cause: more light or exposure)" in out
    assert "the chance that there is ever a false alarm is at most 1 %" in out


def test_a_threshold_of_another_network_is_refused(dark_bundle: Bundle, tmp_path: Path) -> None:
    write_parts(tmp_path / "good", 20, 2)
    main_words = ["calibrate", str(dark_bundle.folder), str(tmp_path / "good"), "--false-alarms", "1/20"]
    with pytest.raises(SystemExit):
        main(main_words)
    other = write_dark_bundle(tmp_path / "other", [])
    write_onnx(other.folder / "model.onnx", slope=-0.4)
    shutil.copy(dark_bundle.folder / "calibration.json", other.folder)
    names = ("model.onnx", "calibration.json")
    manifest = json.loads((other.folder / "manifest.json").read_text())
    manifest |= {name: file_hash(other.folder / name) for name in names}
    (other.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="another network") as caught:
        load_bundle(other.folder)
    assert caught.value.code == "bundle.calibration"
