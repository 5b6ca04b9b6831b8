"""The journal: only grows, tells when it was changed, survives a crash; switching back brings the very bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diffusionad import files
from diffusionad.bundle import Bundle, load_bundle
from diffusionad.errors import DataError, ResourceError, UsageError
from diffusionad.feedback import Journal
from diffusionad.feedback import journal as module

Bytes = Callable[[Path], dict[str, bytes]]


def candidate(tune: Any, bundle: Path, out: Path) -> Bundle:
    return tune()(load_bundle(bundle), out, out).bundle


def test_a_journal_only_grows_and_each_line_is_json_for_people(bundle: Path) -> None:
    journal, path = Journal(bundle), bundle.with_name("bundle.feedback") / "journal.jsonl"
    assert journal.events == []
    assert not path.parent.exists(), "looking writes nothing"
    before = b""
    for word in ("Zoë", "Кириллица", "c"):
        journal.record({"event": "told", "picture": word, "by": word}, {"event": "other"})
        content = path.read_bytes()
        assert content.startswith(before)
        before = content
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["told", "other"] * 3
    assert "Кириллица" in path.read_text()
    assert Journal(bundle).events == journal.events


def test_a_changed_removed_or_moved_line_is_told(bundle: Path) -> None:
    journal, path = Journal(bundle), bundle.with_name("bundle.feedback") / "journal.jsonl"
    for number in range(4):
        journal.record({"event": "told", "picture": str(number), "by": "a"})
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (
        [lines[0].replace(b'"a"', b'"b"'), *lines[1:]],
        [lines[0], *lines[2:]],
        [lines[0], lines[2], lines[1], lines[3]],
        [*lines, lines[3]],
        lines[1:],
        [*lines, b"no json\n"],
        [*lines[:2], b"[]\n", *lines[2:]],
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(DataError, match="bring back a copy") as caught:
            Journal(bundle)
        assert caught.value.code == "feedback.journal"


def test_the_data_version_names_what_was_told_and_nothing_else(bundle: Path) -> None:
    journal = Journal(bundle)
    assert journal.version is None
    journal.record({"event": "told", "picture": "a", "by": "x"})
    first = journal.version
    journal.record({"event": "refused"})
    assert journal.version == first
    journal.record({"event": "told", "picture": "a", "by": "y"})
    assert journal.version != first
    assert journal.told()["a"]["by"] == "y"


def test_a_full_disk_leaves_the_journal_as_it_was(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, path = Journal(bundle), bundle.with_name("bundle.feedback") / "journal.jsonl"
    journal.record({"event": "told", "picture": "a", "by": "x"})
    before = path.read_bytes()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(ResourceError, match="disk is full"):
        journal.record({"event": "told", "picture": "b", "by": "x"})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["journal.jsonl"]


def test_one_process_at_a_time(bundle: Path) -> None:
    with Journal(bundle).alone(), pytest.raises(UsageError, match="Another process"), Journal(bundle).alone():
        pass


def test_rolling_back_restores_the_very_bytes_one_promotion_after_the_other(
    bundle: Path, tmp_path: Path, tune: Any, bytes_of: Bytes
) -> None:
    states, journal = [bytes_of(bundle)], Journal(bundle)
    for number in range(2):
        journal.switch("promoted", candidate(tune, bundle, tmp_path / str(number)), by="x")
        states.append(bytes_of(bundle))
    assert len({state["calibration.json"] for state in states}) == 3
    for state in states[1::-1]:
        journal = Journal(bundle)
        journal.switch("rolled back", journal.previous(), by="x")
        assert bytes_of(bundle) == state
    with pytest.raises(UsageError, match="nothing to roll back to"):
        Journal(bundle).previous()
    journal.switch("promoted", candidate(tune, bundle, tmp_path / "again"), by="x")
    assert journal.previous().key == load_bundle(tmp_path / "run" / "bundle.feedback" / "versions" / old(journal)).key
    assert sorted(p.name for p in bundle.parent.iterdir()) == ["bundle", "bundle.feedback"]


def old(journal: Journal) -> str:
    return str(journal.of("promoted")[-1]["old"])


def test_a_kept_version_that_was_damaged_is_not_put_in_place(
    bundle: Path, tmp_path: Path, tune: Any, bytes_of: Bytes
) -> None:
    journal = Journal(bundle)
    journal.switch("promoted", candidate(tune, bundle, tmp_path / "new"), by="x")
    now, kept = bytes_of(bundle), journal.folder / "versions" / old(journal) / "model.onnx"
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(Exception, match="sha256 differs"):
        journal.previous()
    assert bytes_of(bundle) == now


@pytest.mark.parametrize("installed", [False, True])
def test_a_crash_within_a_switch_is_settled_by_what_is_in_use(
    bundle: Path, tmp_path: Path, tune: Any, bytes_of: Bytes, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    journal, before = Journal(bundle), bytes_of(bundle)
    new, put = candidate(tune, bundle, tmp_path / "new"), module.install_bundle

    def crash(what: Bundle, folder: Path) -> Bundle:
        if folder != bundle:
            return put(what, folder)
        if installed:
            put(what, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "install_bundle", crash)
    with pytest.raises(KeyboardInterrupt):
        journal.switch("promoted", new, by="x", version="v")
    monkeypatch.undo()
    assert (bytes_of(bundle) == before) == (not installed)
    later = Journal(bundle)
    assert later.events[-1]["event"] == "switching"
    with later.alone():
        last = later.events[-1]
        assert (last["event"], last["version"]) == ("promoted" if installed else "not switched", "v")
    with later.alone():
        assert later.events[-1] == last, "settled once"
    if installed:
        later.switch("rolled back", later.previous(), by="x")
        assert bytes_of(bundle) == before
    else:
        with pytest.raises(UsageError):
            later.previous()


def test_files_are_kept_by_their_content(bundle: Path, pictures: Path) -> None:
    journal = Journal(bundle)
    name = journal.keep_file(pictures / "bad0.png")
    (pictures / "copy.PNG").write_bytes((pictures / "bad0.png").read_bytes())
    assert journal.keep_file(pictures / "copy.PNG") == name
    assert journal.file(name).read_bytes() == (pictures / "bad0.png").read_bytes()
    (pictures / "bad0.png").unlink()
    journal.file(name)
    os.truncate(journal.folder / "pictures" / name, 9)
    with pytest.raises(DataError, match="bring back"):
        journal.file(name)
    journal.keep_file(pictures / "copy.PNG")
    journal.file(name)
