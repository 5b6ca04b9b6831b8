"""Laws of the model folder: whole, verified, or refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from diffusionad import bundle as module
from diffusionad.bundle import SCHEMA_VERSION, Bundle, Origin, load_bundle, recalibrate, write_bundle
from diffusionad.calibration import Calibration, calibrate
from diffusionad.config import resolve
from diffusionad.errors import BundleError, ResourceError
from diffusionad.version import __version__

CONTENT = ("model.safetensors", "model.onnx", "config.json", "calibration.json", "card.md")
ORIGIN = Origin(
    data="screws",
    category="m4",
    trained=40,
    validated=5,
    foreground="object",
    images=1234,
    seconds=61.5,
    device="cpu",
    image_auroc=0.1 + 0.2,
    pixel_ap=1 / 3,
    hashes=("0123456789abcdef", "fedcba9876543210"),
)
CONFIG = resolve("tiny", settings=["seed=11", "synthesis.normal_share=[0.3, 0.4]"])
CALIBRATION = calibrate([index / 7 for index in range(20)], 0.1)
OTHER = calibrate([index / 9 for index in range(30)], 0.05)


def written(place: Path, calibration: Calibration | None = CALIBRATION, weights: bytes = b"weights") -> Bundle:
    made = place / "made"
    made.mkdir(exist_ok=True)
    (made / "w").write_bytes(weights)
    (made / "o").write_bytes(b"onnx of " + weights)
    folder = place / "run" / "bundle"
    return write_bundle(
        folder, config=CONFIG, origin=ORIGIN, calibration=calibration, weights=made / "w", onnx=made / "o"
    )


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def rehash(folder: Path) -> None:
    """Make the manifest true again after a change."""
    manifest = {name: sha256((folder / name).read_bytes()).hexdigest() for name in CONTENT}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("calibration", [CALIBRATION, None])
def test_what_is_written_is_read(tmp_path: Path, calibration: Calibration | None) -> None:
    returned = written(tmp_path, calibration)
    got = load_bundle(tmp_path / "run" / "bundle")
    assert (got.config, got.origin, got.calibration) == (CONFIG, ORIGIN, calibration)
    assert got.config is not CONFIG
    assert got.version == __version__
    assert got == returned
    assert got.weights.read_bytes() == b"weights"
    assert got.onnx.read_bytes() == b"onnx of weights"
    assert set(content_of(got.folder)) == {*CONTENT, "manifest.json"}
    assert names_in(tmp_path / "run") == ["bundle"]


def test_a_bundle_can_be_moved_and_keeps_its_key(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    shutil.copytree(bundle.folder, tmp_path / "copy")
    moved = load_bundle(tmp_path / "copy")
    assert moved.key == bundle.key == sha256((bundle.folder / "manifest.json").read_bytes()).hexdigest()[:12]
    assert written(tmp_path, weights=b"others").key != bundle.key


def test_a_new_bundle_takes_the_place_of_the_old(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "run" / "bundle" / "note.txt").write_text("not ours")
    bundle = written(tmp_path, None, b"others")
    assert bundle.weights.read_bytes() == b"others"
    assert bundle.calibration is None
    assert names_in(tmp_path / "run") == ["bundle"]


def test_the_card_says_what_the_bundle_is(tmp_path: Path) -> None:
    card = (written(tmp_path).folder / "card.md").read_text()
    for said in ("40 good pictures of screws (m4)", "tiny, 11", "128 x 128", CALIBRATION.sentence()):
        assert said in card
    assert "Not calibrated" in (written(tmp_path, None).folder / "card.md").read_text()


@pytest.mark.parametrize("name", CONTENT)
def test_a_flipped_bit_is_noticed(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path).folder
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=name) as caught:
        load_bundle(folder)
    assert caught.value.code == "bundle.changed"


@pytest.mark.parametrize("name", [*CONTENT, "manifest.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path).folder
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name) as caught:
        load_bundle(folder)
    assert caught.value.code == "bundle"


def test_what_is_not_a_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BundleError, match=place.name) as caught:
            load_bundle(place)
        assert caught.value.code == "bundle"


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: {**manifest, "extra.py": "0" * 64},
        lambda manifest: {name: manifest[name] for name in CONTENT[1:]},
        lambda manifest: {**manifest, "../model.onnx": "0" * 64},
        lambda manifest: list(manifest),
        lambda manifest: None,
        lambda manifest: {},
    ],
    ids=["extra", "missing", "outside", "list", "null", "empty"],
)
def test_a_manifest_lists_exactly_the_files_of_a_bundle(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    folder = written(tmp_path).folder
    change_json(folder / "manifest.json", change)
    with pytest.raises(BundleError, match=r"manifest\.json") as caught:
        load_bundle(folder)
    assert caught.value.code == "bundle"


def test_hashes_that_are_no_text_never_match(tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    change_json(folder / "manifest.json", lambda manifest: dict.fromkeys(manifest))
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    assert caught.value.code == "bundle.changed"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = written(tmp_path).folder
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(folder)


@pytest.mark.parametrize("schema", [SCHEMA_VERSION + 1, None, "1"])
def test_a_bundle_of_a_newer_schema_is_refused(tmp_path: Path, schema: object) -> None:
    folder = written(tmp_path).folder
    change_json(folder / "config.json", lambda settings: {**settings, "schema_version": schema, "origin": "new shape"})
    rehash(folder)
    with pytest.raises(BundleError, match="newer diffusionad") as caught:
        load_bundle(folder)
    assert caught.value.code == "bundle.newer"


def test_a_bundle_of_an_older_schema_is_refused_with_the_version_that_reads_it(tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    older = {"schema_version": SCHEMA_VERSION - 1, "version": "0.0.9", "config": "of another shape"}
    change_json(folder / "config.json", lambda settings: {**settings, **older})
    rehash(folder)
    with pytest.raises(BundleError, match=r"diffusionad 0\.0\.9.*train again") as caught:
        load_bundle(folder)
    assert caught.value.code == "bundle.older"


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: {**stored, "config": {**stored["config"], "unheard_of": 1}},
        lambda stored: {**stored, "origin": {**stored["origin"], "unheard_of": 1}},
        lambda stored: {**stored, "origin": {name: 1 for name in stored["origin"] if name != "category"}},
        lambda stored: {name: value for name, value in stored.items() if name != "config"},
        lambda stored: {name: value for name, value in stored.items() if name != "origin"},
    ],
    ids=["setting", "origin", "origin lacks", "no config", "no origin"],
)
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    folder = written(tmp_path).folder
    change_json(folder / "config.json", change)
    rehash(folder)
    with pytest.raises(BundleError, match="settings"):
        load_bundle(folder)


def test_a_threshold_that_was_edited_by_hand_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    change_json(folder / "calibration.json", lambda stored: {**stored, "threshold": 0.0})
    rehash(folder)
    with pytest.raises(BundleError, match="threshold"):
        load_bundle(folder)


def test_recalibrating_changes_the_threshold_and_keeps_the_model(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    before = content_of(bundle.folder)
    renewed = recalibrate(bundle, OTHER)
    after = content_of(bundle.folder)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"calibration.json", "card.md", "manifest.json"}
    assert load_bundle(bundle.folder) == renewed
    assert (renewed.calibration, renewed.config, renewed.origin) == (OTHER, CONFIG, ORIGIN)
    assert renewed.key != bundle.key
    assert OTHER.sentence() in after["card.md"].decode()
    assert names_in(tmp_path / "run") == ["bundle"]


def test_an_uncalibrated_bundle_can_be_calibrated(tmp_path: Path) -> None:
    assert recalibrate(written(tmp_path, None), OTHER).calibration == OTHER


def test_the_bundle_in_hand_can_be_recalibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written(tmp_path).folder)
    recalibrate(load_bundle(Path()), OTHER)
    assert load_bundle(tmp_path / "run" / "bundle").calibration == OTHER


def failing(real: Callable[..., Any], when: Callable[..., bool], error: BaseException) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        if when(*given):
            raise error
        return real(*given, **named)

    return call


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FAILURES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "copying": lambda patch: patch.setattr(
        module.shutil, "copyfile", failing(shutil.copyfile, lambda _, to: Path(to).name == "model.onnx", full())
    ),
    "syncing": lambda patch: patch.setattr(
        module, "sync", failing(module.sync, lambda path: path.name == "card.md", full())
    ),
    "card": lambda patch: patch.setattr(
        Path, "write_bytes", failing(Path.write_bytes, lambda path, _: "card.md" in path.name, full())
    ),
    "making": lambda patch: patch.setattr(
        Path, "mkdir", failing(Path.mkdir, lambda path: path.name.endswith(".new"), full())
    ),
    "setting aside": lambda patch: patch.setattr(
        Path, "replace", failing(Path.replace, lambda path, _: path.name == "bundle", full())
    ),
    "placing": lambda patch: patch.setattr(
        Path, "replace", failing(Path.replace, lambda path, _: path.name.endswith(".new"), full())
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_write_leaves_the_old_bundle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    bundle = written(tmp_path)
    with monkeypatch.context() as patch:
        FAILURES[failure](patch)
        with pytest.raises((OSError, ResourceError)):
            recalibrate(bundle, OTHER)
    assert names_in(tmp_path / "run") == ["bundle"]
    assert load_bundle(bundle.folder) == bundle


def test_an_interrupted_write_leaves_the_old_bundle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = written(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_text", failing(module.write_text, lambda *_: True, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            recalibrate(bundle, OTHER)
    assert names_in(tmp_path / "run") == ["bundle"]
    assert load_bundle(bundle.folder) == bundle


def test_a_failing_first_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        FAILURES["copying"](patch)
        with pytest.raises((OSError, ResourceError)):
            written(tmp_path)
    assert names_in(tmp_path / "run") == []


@pytest.mark.parametrize("failure", FAILURES)
def test_a_full_disk_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    bundle = written(tmp_path)
    FAILURES[failure](monkeypatch)
    with pytest.raises(ResourceError):
        recalibrate(bundle, OTHER)


def test_a_linked_bundle_is_rewritten_where_it_lies(tmp_path: Path) -> None:
    bundle = written(tmp_path)
    (tmp_path / "current").symlink_to(bundle.folder)
    recalibrate(load_bundle(tmp_path / "current"), OTHER)
    assert load_bundle(bundle.folder).calibration == OTHER
    assert load_bundle(tmp_path / "current").calibration == OTHER
    assert names_in(tmp_path) == ["current", "made", "run"]
