"""Training: resumable to the bit, killed or interrupted; the same for one process and for two; honest refusals."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from diffusionad import train
from diffusionad.errors import (
    InterruptedRun,
    ResourceError,
    TooFewPicturesError,
    TrainingError,
    UsageError,
)
from diffusionad.inspector import Inspector
from diffusionad.training import loop, plan, runs, session
from diffusionad.training.strip import with_foreground

SMALL = (
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.attention_levels=[1]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "segmenter.patch=2",
    "training.batch=4",
    "training.validations=2",
    "training.warmup_images=8",
)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bundle" / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def command(data: Path, out: Path, images: int, *more: str) -> list[str]:
    settings = [word for setting in (*SMALL, *more) for word in ("--set", setting)]
    start = [sys.executable, "-m", "diffusionad", "train", str(data), "--out", str(out), "--preset", "tiny"]
    return [*start, "--images", str(images), *settings]


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("straight")
    train(data, out, preset="tiny", images=64, settings=SMALL)
    return out


def test_the_same_seed_trains_the_same_weights(data: Path, tmp_path: Path, straight: Path) -> None:
    train(data, tmp_path, preset="tiny", images=64, settings=SMALL)
    assert same(weights(straight), weights(tmp_path))
    train(data, tmp_path / "other", preset="tiny", images=64, settings=SMALL, seed=1)
    assert not same(weights(straight), weights(tmp_path / "other"))


def test_an_interrupted_run_resumes_to_the_same_weights(
    data: Path, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = loop.tensors_of
    calls = []

    def interrupting(*given: object) -> object:
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return once(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "tensors_of", interrupting)
    with pytest.raises(InterruptedRun, match="28 images"):
        train(data, tmp_path, preset="tiny", images=64, settings=SMALL)
    assert not (tmp_path / "bundle").exists()
    train(data, tmp_path, preset="tiny", images=64, settings=SMALL)
    assert same(weights(straight), weights(tmp_path))


def test_a_killed_run_resumes_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    often = "training.checkpoint_seconds=0.01"
    with subprocess.Popen(command(data, tmp_path / "killed", 120, often), stderr=subprocess.DEVNULL) as process:
        state = tmp_path / "killed" / "state.safetensors"
        while not state.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
        process.kill()
    assert not (tmp_path / "killed" / "bundle").exists(), "killed too late to prove anything"
    for out in ("killed", "whole"):
        subprocess.run(command(data, tmp_path / out, 120, often), check=True, capture_output=True)
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "whole"))


def test_a_finished_run_has_its_normality_fitted(straight: Path) -> None:
    fitted = weights(straight)
    for habit in ("residual", "structure", "context"):
        assert (fitted[f"normality.{habit}.whitening"].diagonal(dim1=1, dim2=2) > 0).all()
        assert fitted[f"normality.{habit}.mean"].abs().max() > 1e-3
    for witness in range(4):
        assert fitted[f"normality.tails.{witness}.excess"].isfinite()
        assert fitted[f"normality.tails.{witness}.excess"] != 1


def test_two_processes_train_as_one_does(data: Path, tmp_path: Path) -> None:
    # two channels a group: with one, a bias before it has no gradient but rounding, which Adam takes for a direction
    # fp32: with the eight bits of bf16 a gradient of half a batch is rounded before it is averaged
    grouped = ("denoiser.groups=4", "segmenter.widths=[16, 16]", "training.precision=fp32")
    train(data, tmp_path / "one", preset="tiny", images=64, settings=(*SMALL, *grouped))
    result = subprocess.run(
        [*command(data, tmp_path / "two", 64, *grouped), "--devices", "2", "--device", "cpu"],
        capture_output=True,
        text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4
    losses = [
        json.loads(line)["held_out_pixel_ap"]
        for out in ("one", "two")
        for line in (tmp_path / out / "log.jsonl").read_text().splitlines()
        if "held_out_pixel_ap" in line
    ]
    assert np.allclose(losses[: len(losses) // 2], losses[len(losses) // 2 :], atol=1e-3)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_pictures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(batch: object, mine: slice, device: torch.device) -> dict[str, torch.Tensor]:
        given = once(batch, mine, device)  # type: ignore[arg-type]
        if len(seen) == 5:
            given["image"][0, 0, 0, 0] = float("nan")
        seen.append(1)
        return given

    once, seen = loop.tensors_of, []
    monkeypatch.setattr(loop, "tensors_of", poisoned)
    with pytest.raises(TrainingError, match=r"not finite after 20 images.*good/\d+\.png") as caught:
        train(data, tmp_path, preset="tiny", images=64, settings=(*SMALL, "training.checkpoint_seconds=1e-9"))
    assert caught.value.exit_code == 4
    state = load_file(tmp_path / "state.safetensors")
    assert all(bool(torch.isfinite(value).all()) for value in state.values())


def test_a_full_disk_keeps_the_last_state(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = session.save_state
    count = []

    def save(*given: object) -> None:
        count.append(1)
        if len(count) == 3:
            monkeypatch.setattr(os, "fsync", full)
        saved(*given)  # type: ignore[arg-type]

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(session, "save_state", save)
    with pytest.raises(ResourceError, match="disk is full"):
        train(data, tmp_path, preset="tiny", images=64, settings=(*SMALL, "training.checkpoint_seconds=1e-9"))
    monkeypatch.undo()
    train(data, tmp_path, preset="tiny", images=64, settings=(*SMALL, "training.checkpoint_seconds=1e-9"))
    assert Inspector.load(tmp_path / "bundle").threshold is not None


def test_a_run_is_not_resumed_with_other_settings_or_pictures(data: Path, tmp_path: Path, straight: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    with pytest.raises(TrainingError, match="other settings or other pictures"):
        train(data, run, preset="tiny", images=64, settings=(*SMALL, "denoiser.width=16"))
    changed = tmp_path / "changed"
    shutil.copytree(data, changed)
    next((changed / "train" / "good").iterdir()).unlink()
    with pytest.raises(TrainingError, match="other settings or other pictures"):
        train(changed, run, preset="tiny", images=64, settings=SMALL)


def test_a_finished_run_goes_on_when_it_is_given_more_images(data: Path, tmp_path: Path, straight: Path) -> None:
    shutil.copytree(straight, tmp_path / "run")
    longer = train(data, tmp_path / "run", preset="tiny", images=80, settings=SMALL)
    assert longer.images == 80


@pytest.mark.parametrize(("count", "found"), [(0, None), (1, "1 good"), (3, "3 good"), (9, "9 good")])
def test_too_few_pictures_are_refused_with_the_reason(tmp_path: Path, count: int, found: str | None) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for index in range(count):
        Image.new("RGB", (40, 40), (index, 9, 9)).save(folder / f"{index}.png")
    with pytest.raises(Exception) as caught:
        train(folder, tmp_path / "run", preset="tiny", images=8, settings=SMALL)
    assert getattr(caught.value, "exit_code", None) == 2
    if found:
        assert isinstance(caught.value, TooFewPicturesError)
        assert found in str(caught.value)


def test_few_pictures_train_with_a_warning_and_without_a_promise(data: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((data / "train" / "good").iterdir())[:20]:
        shutil.copy(path, few)
    run = train(few, tmp_path / "run", preset="tiny", images=16, settings=SMALL)
    assert run.bundle.calibration is not None
    assert run.bundle.calibration.promised is None
    assert any("no false-alarm promise" in warning for warning in run.warnings)


def test_broken_pictures_are_left_out_and_named(data: Path, tmp_path: Path) -> None:
    some = tmp_path / "some"
    shutil.copytree(data / "train" / "good", some)
    (some / "zero.png").touch()
    (some / "text.png").write_text("not a picture")
    run = train(some, tmp_path / "run", preset="tiny", images=8, settings=SMALL)
    assert sorted(Path(path).name for path, _ in run.unreadable) == ["text.png", "zero.png"]


def test_pictures_of_different_sizes_and_depths_train_together(data: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(data / "train" / "good", mixed)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 65536, (60, 90), dtype=np.uint16)).save(mixed / "deep.png")
    Image.fromarray(rng.integers(0, 256, (31, 77), dtype=np.uint8)).save(mixed / "grey.png")
    run = train(mixed, tmp_path / "run", preset="tiny", images=8, settings=SMALL)
    assert run.unreadable == ()


def test_one_run_at_a_time_in_a_folder(data: Path, tmp_path: Path) -> None:
    with runs.alone(tmp_path, runs.open_fabric("cpu", 1, 1, runs.resolve("tiny").training)):
        result = subprocess.run(command(data, tmp_path, 8), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Another process trains into" in result.stderr


def test_a_batch_that_processes_cannot_share_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="evenly"):
        train(data, tmp_path, preset="tiny", images=8, settings=SMALL, devices=3)


def test_a_plan_reads_everything_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    planned = plan(data, preset="tiny", images=8, settings=SMALL)
    parts = [planned[f"{part} pictures"] for part in ("training", "validation", "calibration")]
    assert sum(parts) == 40
    assert min(parts) > 0
    assert list(tmp_path.iterdir()) == []


def test_progress_is_logged_and_shown_as_pictures(straight: Path) -> None:
    events = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert [event["images"] for event in events if "held_out_image_auroc" in event] == [32, 64]
    strips = list((straight / "strips").glob("*.png"))
    assert strips
    with Image.open(strips[0]) as strip:
        assert strip.width > 6 * 16  # the chosen foreground, and five of the networks


def test_what_is_not_foreground_is_dark_in_strips() -> None:
    picture = np.full((4, 6, 3), 200, dtype=np.uint8)
    foreground = np.zeros((4, 6), dtype=np.bool_)
    foreground[1:3, 2:5] = True
    shown = with_foreground(picture, foreground)
    assert (shown[foreground] == 200).all()
    assert (shown[~foreground] == 50).all()
    assert with_foreground(picture, None) is picture


def test_an_out_that_cannot_be_a_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        train(data, tmp_path / "file", preset="tiny", images=8, settings=SMALL)


def test_training_again_on_a_finished_run_keeps_its_bundle(data: Path, tmp_path: Path, straight: Path) -> None:
    from diffusionad.bundle import load_bundle, recalibrate
    from diffusionad.calibration import calibrate

    run = tmp_path / "run"
    shutil.copytree(straight, run)
    mine = recalibrate(load_bundle(run / "bundle"), calibrate([0.1, 0.2, 0.3], 0.2))
    again = train(data, run, preset="tiny", images=64, settings=SMALL)
    assert again.bundle.key == mine.key
