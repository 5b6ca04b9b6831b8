"""A whole run: from a folder of good pictures to a calibrated bundle. Running it again on the same folder resumes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.bundle import Bundle, Origin, recalibrate, write_bundle
from diffusionad.calibration import Calibration, calibrate
from diffusionad.config import Config, resolve
from diffusionad.detector import Detector
from diffusionad.errors import InterruptedRun, UsageError
from diffusionad.export import to_onnx
from diffusionad.files import write_json
from diffusionad.inspector import Inspector
from diffusionad.training.data import ENOUGH, GoodPictures, read_good_pictures, read_textures
from diffusionad.training.loop import run
from diffusionad.training.machine import open_fabric
from diffusionad.training.state import Averaged, Progress, load_state, save_state, save_weights
from diffusionad.training.step import TrainingStep
from diffusionad.training.strip import write_strip
from diffusionad.training.validation import HeldOut, Score
from diffusionad.training.watch import Line, StopSignal, TrainingWatch

__all__ = ["TrainedRun", "train"]


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """What a finished run leaves.

    Attributes:
        folder: the run's folder.
        bundle: the calibrated bundle inside it.
        score: held-out figures on planted defects.
        images, seconds: images seen and time in the loop.
        warnings: sentences a person should read.
        unreadable: (path, sentence) of pictures that were left out.
    """

    folder: Path
    bundle: Bundle
    score: Score
    images: int
    seconds: float
    warnings: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def train(
    data: str | Path,
    out: str | Path,
    *,
    preset: str = "small",
    max_time: float | None = None,
    images: int | None = None,
    category: str | None = None,
    layout: str = "auto",
    textures: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    foreground: str | None = None,
    settings: Sequence[str] = (),
    config_file: str | Path | None = None,
    line: Line = lambda text, passing: None,
) -> TrainedRun:
    """Train on the good pictures of a data set, calibrate, and write a bundle to `out`/bundle.

    Args:
        data: folder of good pictures, or a data set in a known layout.
        out: the run's folder; a run already there is resumed.
        preset: tiny, small, base or journal.
        max_time: seconds of training; None: the preset's.
        images: images to see instead; repeatable to the bit.
        category: which one, where a data set has several.
        layout: auto or one of the known layouts.
        textures: folder of texture pictures for synthetic defects; None draws them.
        seed: decides every draw.
        device: auto, cpu or cuda.
        devices, num_nodes: processes a node, and nodes.
        foreground: auto, whole or a folder of masks; None: the configuration's.
        settings: "section.key=value" each.
        config_file: TOML file with settings.
        line: shows a line of text; True when the next may overwrite it.

    Raises:
        UsageError, DataError: what was asked for cannot be.
        TrainingError: the loss is not finite, or `out` holds another run.
        ResourceError: disk or device.
        InterruptedRun: SIGINT or SIGTERM; the state is saved.
    """
    config = resolve_run(preset, max_time, images, seed, foreground, settings, config_file)
    folder = Path(out)
    good = read_good_pictures(Path(data), config, layout, category)
    drawn = read_textures(Path(textures) if textures else None, config.data.size)
    fabric = open_fabric(device, devices, num_nodes, config.training)
    with _alone(folder, fabric):
        write_json(folder / "config.json", config.model_dump(mode="json"))
        line(_opening(good, config, fabric), False)
        progress, score, weights = _fit(fabric, folder, config, good, drawn, line)
        fabric.barrier()
        if fabric.is_global_zero:
            line("Writing the bundle and calibrating.", False)
            _finish(folder, config, good, progress, score, weights, str(fabric.device), Path(data))
        fabric.barrier()
    bundle = Inspector.load(folder / "bundle").bundle
    return TrainedRun(
        folder, bundle, score, progress.images, progress.seconds, _warnings(good, bundle), tuple(good.unreadable)
    )


def resolve_run(
    preset: str,
    max_time: float | None,
    images: int | None,
    seed: int,
    foreground: str | None,
    settings: Sequence[str],
    config_file: str | Path | None,
) -> Config:
    """The configuration of a run; `images` takes the place of the preset's time limit and the other way round."""
    overrides: dict[str, Any] = {"seed": seed}
    if foreground is not None:
        overrides["data.foreground"] = foreground
    if images is not None:
        overrides |= {"training.images": images, "training.max_seconds": max_time}
    elif max_time is not None:
        overrides |= {"training.max_seconds": max_time, "training.images": None}
    return resolve(preset, file=Path(config_file) if config_file else None, settings=settings, overrides=overrides)


def _fit(
    fabric: Fabric, folder: Path, config: Config, good: GoodPictures, textures: Sequence[Any], line: Line
) -> tuple[Progress, Score, Path]:
    """Train from the start or from the saved state; the weights chosen on held-out pictures are in a file."""
    detector = build_detector(config)
    bare = TrainingStep(detector, config.diffusion, config.loss)
    settings = config.training
    optimizer = torch.optim.AdamW(
        [
            {"params": list(detector.denoiser.parameters()), "base_rate": settings.denoiser_rate},
            {"params": list(detector.segmenter.parameters()), "base_rate": settings.segmenter_rate},
        ],
        lr=settings.denoiser_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.decay,
    )
    averaged = Averaged(detector, settings.ema_images)
    state, best = folder / "state.safetensors", folder / "best.safetensors"
    key = _run_key(config, good)
    progress = load_state(state, detector, averaged, optimizer, key) if state.exists() else Progress()
    if progress.images:
        line(f"Resuming after {progress.images} images.", False)
    step, wrapped = fabric.setup(bare, optimizer)
    averaged.to(fabric.device)
    held_out = _held_out(config, good, textures)
    candidate = build_detector(config).to(fabric.device).eval()

    def save() -> None:
        if fabric.is_global_zero:
            save_state(state, detector, averaged, optimizer, progress, key)

    def draw(images: int) -> None:
        if fabric.is_global_zero:
            candidate.load_state_dict(averaged.tensors)
            write_strip(folder / "strips" / f"{images:08d}.png", candidate, held_out.shown, fabric.device)

    def validate() -> None:
        candidate.load_state_dict(averaged.tensors)
        score = held_out.score(candidate, fabric.device)
        progress.validations += 1
        progress.history.append((progress.images, score.total))
        if score.total > progress.best_score:
            progress.best_score, progress.best_images = score.total, progress.images
            if fabric.is_global_zero:
                save_weights(best, averaged.tensors)
        watch.event(images=progress.images, held_out_image_auroc=score.image_auroc, held_out_pixel_ap=score.pixel_ap)
        line(
            f"{progress.images:>7} images  on planted defects: image AUROC {score.image_auroc:.4f}, "
            f"pixel AP {score.pixel_ap:.4f}",
            False,
        )

    with StopSignal() as stop:
        watch = TrainingWatch(folder, settings, save=save, draw=draw, line=line, stop=lambda: stop.asked)
        pairs = build_pairs(config, good.training.pictures, good.training.foregrounds, textures, "pair")
        names = [str(sample.path) for sample in good.training.samples]
        done = run(fabric, step, wrapped, averaged, pairs, progress, settings, watch, validate, names.__getitem__)
        if done and [progress.images] != [images for images, _ in progress.history[-1:]]:
            validate()
        save()
        draw(progress.images)
    if not done:
        raise InterruptedRun(
            f"Stopped after {progress.images} images; everything is saved in {folder}. Run the same command to resume."
        )
    candidate.load_state_dict(load_file(best))
    return progress, held_out.score(candidate, fabric.device), best


def _finish(
    folder: Path,
    config: Config,
    good: GoodPictures,
    progress: Progress,
    score: Score,
    weights: Path,
    device: str,
    data: Path,
) -> None:
    """Export, write the bundle, then calibrate it with scores from the very file that will judge."""
    detector: Detector = build_detector(config).eval()
    detector.load_state_dict(load_file(weights))
    onnx = folder / "model.onnx"
    to_onnx(detector, onnx)
    sample = good.training.samples[0]
    origin = Origin(
        data=data.resolve().name,
        category=sample.category,
        trained=len(good.training.samples),
        validated=len(good.validation.samples),
        foreground=good.kind,
        images=progress.images,
        seconds=round(progress.seconds, 1),
        device=device,
        image_auroc=score.image_auroc,
        pixel_ap=score.pixel_ap,
        hashes=tuple(good.hashes),
    )
    bundle = write_bundle(folder / "bundle", config=config, origin=origin, calibration=None, weights=weights, onnx=onnx)
    onnx.unlink()
    inspector = Inspector.load(folder / "bundle")
    scores = [inspector.outcome(picture).image_score for picture in good.calibration.pictures]
    recalibrate(bundle, _threshold(scores, len(good.training.samples) + len(scores)))


def _threshold(scores: list[float], pictures: int) -> Calibration:
    """Split-conformal at 1 %; with fewer than 30 good pictures in all, no promise."""
    calibration = calibrate(scores)
    return calibration if pictures >= ENOUGH else replace(calibration, promised=None)


def _held_out(config: Config, good: GoodPictures, textures: Sequence[Any]) -> HeldOut:
    pairs = build_pairs(config, good.validation.pictures, good.validation.foregrounds, textures, "validation")
    return HeldOut(pairs, max(16, min(48, 4 * len(good.validation.pictures))))


def _run_key(config: Config, good: GoodPictures) -> str:
    """Names the run: another clock limit continues it, anything else that decides the weights does not."""
    free = {"images", "max_seconds", "checkpoint_seconds", "strip_seconds"}
    return sha256((config.model_dump_json(exclude={"training": free}) + good.key).encode()).hexdigest()


def _opening(good: GoodPictures, config: Config, fabric: Fabric) -> str:
    limit = f"{config.training.images} images" if config.training.images else f"{config.training.max_seconds:.0f} s"
    return (
        f"{len(good.training.samples)} good pictures to train on, {len(good.validation.samples)} to choose "
        f"the weights, {len(good.calibration.samples)} for the threshold; foreground: {good.kind}. "
        f"Preset {config.preset} at {config.data.size[0]} x {config.data.size[1]}, {limit}, "
        f"{fabric.world_size} x {fabric.device.type}."
    )


def _warnings(good: GoodPictures, bundle: Bundle) -> tuple[str, ...]:
    warnings = [f"Left out: {sentence}" for _, sentence in good.unreadable]
    count = sum(len(portion.samples) for portion in (good.training, good.validation, good.calibration))
    if count < ENOUGH:
        warnings.append(
            f"Only {count} good pictures: the threshold is a guess and no false-alarm promise is made; "
            f"take at least {ENOUGH}, better 100 or more."
        )
    return tuple(warnings)


@contextmanager
def _alone(folder: Path, fabric: Fabric) -> Iterator[None]:
    """One run at a time in a folder; the lock goes with the process, however it ends."""
    if not fabric.is_global_zero:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"Another process trains into {folder}: wait for it, or give another --out folder."
            ) from None
        yield
