"""Rounds: through the command line with a real fine-tuning, and with candidates whose worth is known."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from diffusionad.bundle import load_bundle, recalibrate
from diffusionad.cli import feedback as command
from diffusionad.cli import main
from diffusionad.data import find_samples
from diffusionad.errors import BundleError, CalibrationError, DataError, DiffusionADError, InterruptedRun, UsageError
from diffusionad.feedback import Budget, Journal, learn, place_of, read_table, tell
from diffusionad.files import file_hash
from diffusionad.inspector import Inspector
from diffusionad.recalibration import Wanted, find_calibration
from diffusionad.training import fine_tune

Write = Callable[..., Path]
Bytes = Callable[[Path], dict[str, bytes]]
ROWS = (
    "good0.png,good,,,looks fine",
    "bad0.png,anomalous,bad0_mask.png,Ada,",
    "bad1.png,Anomalous,,,",
    "good1.png,good",
)


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return leaving.value.code, out, err


def go(bundle: Path, data: Path, table: Path, tune: Any, *, good: Any = (), frozen: Path | None = None) -> Any:
    """One round in Python."""
    journal = Journal(bundle)
    with journal.alone():
        place = place_of(journal, data, frozen, "auto", None, "me")
        tell(journal, place, read_table(table, journal.bundle, "me"))
        return learn(journal, place, tune, Budget(images=16), by="me", good=good)


@pytest.fixture(scope="module")
def real(data: Path, trained: Path, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A round with a real fine-tuning: the bundle in use, and what came of it."""
    bundle = Path(shutil.copytree(trained / "bundle", tmp_path_factory.mktemp("real") / "bundle"))
    table = bundle.with_name("told.csv")
    table.write_text("\n".join(("path,verdict,mask,by,note", *ROWS)) + "\n")
    for path in drawn.iterdir():
        shutil.copy(path, table.parent)
    return bundle, go(bundle, data, table, fine_tune)


def test_what_was_told_trains_and_neither_measures_nor_sets_the_threshold(
    real: tuple[Path, Any], trained: Path
) -> None:
    bundle, done = real
    journal, old = Journal(bundle), load_bundle(trained / "bundle")
    told = {Path(event["path"]).name: (event["by"], event["verdict"]) for event in journal.told().values()}
    assert told == {
        "good0.png": ("me", "good"),
        "bad0.png": ("Ada", "anomalous"),
        "bad1.png": ("me", "anomalous"),
        "good1.png": ("me", "good"),
    }
    candidate = load_bundle(done.folder / "bundle")
    assert set(candidate.origin.hashes) - set(old.origin.hashes) == {name[:16] for name in journal.told()}
    assert not {name[:16] for name in journal.of("frozen")[0]["pictures"]} & set(candidate.origin.hashes)
    assert (candidate.origin.real_defects, candidate.origin.images) == (2, old.origin.images + 16)
    assert candidate.weights.read_bytes() != old.weights.read_bytes()
    assert candidate.calibration is not None
    assert old.calibration is not None
    assert candidate.calibration.n == old.calibration.n == 8
    assert candidate.calibration.scores != old.calibration.scores
    assert "no picture from operators chose it" in done.threshold
    assert journal.of("promoted", "refused")[-1]["reasons"] == list(done.decision.reasons)
    assert load_bundle(bundle).key == (done.new if done.decision.promote else old.key)


def test_an_interrupted_round_leaves_the_old_bundle_and_resumes_to_the_same_weights(
    data: Path, bundle: Path, write: Write, bytes_of: Bytes, real: tuple[Path, Any]
) -> None:
    before, table, lines = bytes_of(bundle), write(*ROWS), list[str]()

    def stopped(*given: Any, line: Any, **asked: Any) -> Any:
        def shown(text: str, passing: bool) -> None:
            if "on planted defects" in text:  # half way
                os.kill(os.getpid(), signal.SIGINT)

        return fine_tune(*given, line=shown, **asked)

    def listened(*given: Any, line: Any, **asked: Any) -> Any:
        return fine_tune(*given, line=lambda text, _: lines.append(text), **asked)

    with pytest.raises(InterruptedRun):
        go(bundle, data, table, stopped)
    assert bytes_of(bundle) == before
    assert not Journal(bundle).of("promoted", "refused")
    resumed, straight = go(bundle, data, table, listened), real[1]
    assert any(text.startswith("Resuming after") for text in lines)
    one, two = (done.folder / "bundle" / "model.safetensors" for done in (resumed, straight))
    assert one.read_bytes() == two.read_bytes()
    assert resumed.decision == straight.decision


def test_the_command_promotes_tells_and_rolls_back(
    data: Path,
    bundle: Path,
    write: Write,
    tune: Any,
    bytes_of: Bytes,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, before = write(*ROWS), bytes_of(bundle)
    words = ("feedback", bundle, table, "--data", data, "--images", 8, "--by", "Bo")

    def with_candidate(scores: Any) -> None:
        monkeypatch.setattr(command, "import_training", lambda: SimpleNamespace(fine_tune=tune(scores)))

    with_candidate([2.0 + number for number in range(10)])
    code, out, _ = call(capsys, *words)
    assert (code, "Refused" in out, bytes_of(bundle) == before) == (1, True, True)
    with_candidate(None)
    code, out, _ = call(capsys, *words, "--json")
    done = json.loads(out)
    assert (code, done["promoted"], load_bundle(bundle).key) == (0, True, done["new"])
    assert Path(done["report"]).is_file()
    code, out, _ = call(capsys, "feedback", bundle)
    assert code == 0
    assert out.count(done["reasons"][0]) == 1
    for said in ("good0.png is good (looks fine)", "12 pictures only measure", "by Ada", *done["reasons"]):
        assert said in out
    code, _, err = call(capsys, *words)
    assert (code, "nothing new to learn" in err) == (2, True)
    assert call(capsys, "feedback", bundle, "--roll-back")[0] == 0
    assert bytes_of(bundle) == before
    code, _, err = call(capsys, "feedback", bundle, "--roll-back")
    assert (code, "nothing to roll back to" in err) == (2, True)


def test_a_candidate_that_judges_alike_is_promoted_and_one_that_misses_or_alarms_is_refused(
    data: Path, bundle: Path, write: Write, tune: Any, bytes_of: Bytes
) -> None:
    table, before = write(*ROWS), bytes_of(bundle)
    blind = go(bundle, data, table, tune([2.0 + number for number in range(10)]))
    assert not blind.decision.promote
    assert blind.decision.reasons[0].startswith("BROKEN: defects found: 0 of 6")
    alarmist = go(bundle, data, table, tune([1e-6 * number for number in range(1, 101)]))
    assert not alarmist.decision.promote
    assert alarmist.decision.reasons[0].startswith("holds")
    assert alarmist.decision.reasons[1].startswith("BROKEN: false alarms on 6 of 6")
    assert bytes_of(bundle) == before
    alike = go(bundle, data, table, tune())
    assert alike.decision.promote
    assert load_bundle(bundle).key == alike.new != alike.old
    assert [e["event"] for e in Journal(bundle).of("refused", "promoted")] == ["refused", "refused", "promoted"]


def test_the_frozen_set_stays_what_it_was(data: Path, bundle: Path, tmp_path: Path, write: Write, tune: Any) -> None:
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    go(bundle, data, write(*ROWS), tune())
    shutil.copy(tmp_path / "line" / "bad2.png", moved / "test" / "bar" / "new.png")
    done = go(bundle, moved, write("good2.png,good"), tune())
    assert len(done.compared.pairs) == 12, "a later test picture does not join"
    assert Journal(bundle).of("place")[-1]["place"]["data"] == str(moved)
    Image.new("RGB", (48, 48)).save(moved / "test" / "bar" / "000.png")
    with pytest.raises(DataError, match="1 of 12 pictures of the frozen set") as caught:
        go(bundle, moved, write("bad2.png,anomalous"), tune())
    assert caught.value.code == "feedback.frozen"


def test_the_threshold_of_calibrate_takes_pictures_of_its_own(
    data: Path, bundle: Path, tmp_path: Path, write: Write, tune: Any
) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for number in range(12):
        picture = Image.open(data / "train" / "good" / f"{number:03d}.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture.save(fresh / f"{number}.png")
    good = find_samples(fresh)
    inspector = Inspector.load(bundle)
    found = find_calibration(inspector, good, Wanted(0.1))
    recalibrate(inspector.bundle, found.calibration)
    table = write(*ROWS)
    with pytest.raises(UsageError, match="with --good"):
        go(bundle, data, table, tune())
    with pytest.raises(CalibrationError):
        go(bundle, data, table, tune(), good=good[:5])
    told = [*good, *find_samples(data / "train" / "good")[:1]]
    shutil.copy(told[-1].path, fresh / "copy.png")
    with pytest.raises(DataError, match="measure or train") as caught:
        go(bundle, data, table, tune(), good=[*good, *(s for s in find_samples(data) if s.split == "test")])
    assert caught.value.code == "feedback.good"
    done = go(bundle, data, table, tune(), good=good)
    assert done.threshold.startswith("12 good pictures given with --good")
    assert done.decision.promote
    calibration = load_bundle(bundle).calibration
    assert calibration is not None
    assert (calibration.n, calibration.requested) == (12, 0.1)


def untold(folder: Path, data: Path) -> None:
    """Names of pictures for the rows below."""
    shutil.copy(data / "test" / "bar" / "001.png", folder / "frozen.png")
    shutil.copy(data / "train" / "good" / "002.png", folder / "learned.png")
    shutil.copy(folder / "good0.png", folder / "twin.png")
    (folder / "torn.png").write_bytes((folder / "good0.png").read_bytes()[:80])
    Image.new("L", (48, 48)).save(folder / "blank.png")
    Image.new("L", (9, 9), 255).save(folder / "small.png")


BAD_ROWS = {
    "a verdict nobody knows": (("good0.png,fine",), "feedback.verdict", "'fine'; the known ones are good and anomal"),
    "a missing picture": (("gone.png,good",), "feedback.missing", "line 2, names the picture 'gone.png'"),
    "a row without a picture": ((",good",), "feedback.missing", "which is not there"),
    "a torn picture": (("torn.png,good",), "feedback.unreadable", "line 2"),
    "both verdicts": (("good0.png,good", "twin.png,anomalous"), "feedback.contradiction", "line 3.*decide which"),
    "a frozen picture": (("good0.png,good", "frozen.png,anomalous"), "feedback.frozen", "line 3.*Delete the row"),
    "a defect among the good": (("learned.png,anomalous",), "feedback.contradiction", "trained with it as good"),
    "a mask that marks nothing": (("bad0.png,anomalous,blank.png",), "feedback.mask", "marks nothing"),
    "a mask of another size": (("bad0.png,anomalous,small.png",), "data.mask_size", "small.png"),
    "a mask of a good picture": (("good0.png,good,blank.png",), "feedback.mask", "is good but has a mask"),
    "no rows": ((), "feedback.empty", "has no rows"),
    "nothing new": (("learned.png,good",), "feedback.nothing", "nothing new to learn"),
    "too many cells": (("good0.png,good,,,,,",), "data.manifest", "7 cells for 5 columns"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_told_in_a_sentence_and_nothing_is_written_down(
    data: Path, bundle: Path, pictures: Path, write: Write, tune: Any, bytes_of: Bytes, case: str
) -> None:
    rows, code, said = BAD_ROWS[case]
    untold(pictures, data)
    before = bytes_of(bundle)
    with pytest.raises(DiffusionADError, match=said) as caught:
        go(bundle, data, write(*rows), tune())
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert not Journal(bundle).told()
    assert bytes_of(bundle) == before


def test_tables_that_are_none(bundle: Path, write: Write, pictures: Path) -> None:
    old = load_bundle(bundle)
    with pytest.raises(DataError, match="unknown column 'score'; the known ones are path, verdict"):
        read_table(write("good0.png,good,1", heading="path,verdict,score"), old, "me")
    with pytest.raises(DataError, match="lacks the column 'verdict'"):
        read_table(write("good0.png", heading="path"), old, "me")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(pictures / "nowhere.csv", old, "me")
    lines = write('{"path": "good0.png", "verdict": "good"}', heading="", name="told.jsonl")
    assert [(r.verdict, r.by) for r in read_table(lines, old, "me")] == [("good", "me")]


def test_the_opposite_of_what_was_told_needs_to_be_said_twice(data: Path, bundle: Path, write: Write) -> None:
    journal = Journal(bundle)
    place = place_of(journal, data, None, "auto", None, "me")
    said = read_table(write("bad0.png,good"), journal.bundle, "Ada")
    opposite = read_table(write("bad0.png,anomalous"), journal.bundle, "Bo")
    assert tell(journal, place, said) == (1, 0)
    assert tell(journal, place, said) == (0, 1), "the same once more says nothing new"
    first = journal.version
    with pytest.raises(DataError, match=r"Ada called it good on .*--correct"):
        tell(journal, place, opposite)
    assert journal.version == first
    assert tell(journal, place, opposite, correct=True) == (1, 0)
    assert [event["verdict"] for event in journal.told().values()] == ["anomalous"]
    assert len(journal.of("told")) == 2, "what was said is never taken away"
    masked = read_table(write("bad0.png,anomalous,bad0_mask.png"), journal.bundle, "Bo")
    assert tell(journal, place, masked) == (1, 0), "a mask is news"


@pytest.mark.parametrize("kind", ["good", "defective"])
def test_a_frozen_set_without_good_or_without_defects_is_no_gate(
    data: Path, bundle: Path, tmp_path: Path, write: Write, tune: Any, kind: str
) -> None:
    poor = Path(shutil.copytree(data, tmp_path / "poor"))
    shutil.rmtree(poor / "test" / ("good" if kind == "good" else "bar"))
    with pytest.raises(DataError, match=f"no {kind} test picture left.*--frozen") as caught:
        go(bundle, poor, write(*ROWS), tune())
    assert caught.value.code == "feedback.no_gate"
    assert go(bundle, poor, write(*ROWS), tune(), frozen=data).decision.promote


def test_what_else_cannot_be(
    data: Path, bundle: Path, tmp_path: Path, write: Write, tune: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table, old = write(*ROWS), load_bundle(bundle)
    assert "Give --data" in call(capsys, "feedback", bundle, table)[2]
    assert "not both" in call(capsys, "feedback", bundle, table, "--roll-back")[2]
    torn = Path(shutil.copytree(data, tmp_path / "torn"))
    (torn / "test" / "bar" / "003.png").write_bytes(b"")
    with pytest.raises(DataError, match="for the frozen set cannot be judged") as caught:
        go(bundle, torn, table, tune())
    assert caught.value.code == "feedback.unreadable"
    assert not Journal(bundle).events
    strange = Path(shutil.copytree(data, tmp_path / "strange"))
    for number in range(40):
        path = strange / "train" / "good" / f"{number:03d}.png"
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)
    budget = {"layout": "auto", "category": None, "good": [], "max_time": None, "images": 8, "device": "cpu"}
    with pytest.raises(DataError, match="were not among those that trained the bundle") as caught:
        fine_tune(old, strange, tmp_path / "out", defects=[], line=lambda text, _: None, **budget)
    assert caught.value.code == "feedback.other_data"
    with pytest.raises(UsageError, match="0 images are none"):
        fine_tune(old, data, tmp_path / "out", defects=[], line=lambda text, _: None, **budget | {"images": 0})
    calibration = bundle / "calibration.json"
    calibration.write_text("{}")
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {calibration.name: file_hash(calibration)}))
    with pytest.raises(BundleError, match="is not calibrated"):
        go(bundle, data, table, tune())
