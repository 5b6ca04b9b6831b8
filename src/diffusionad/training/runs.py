"""A whole run: from a folder of good pictures to a calibrated bundle. Running it again on the same folder resumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from safetensors.torch import load_file

from diffusionad.assembly import build_detector
from diffusionad.bundle import Bundle, Origin, load_bundle, write_bundle
from diffusionad.calibration import calibrate
from diffusionad.conditions import CONDITIONS
from diffusionad.config import Config, resolve
from diffusionad.data import labels
from diffusionad.detector import Detector
from diffusionad.errors import BundleError
from diffusionad.export import check_passes, to_onnx
from diffusionad.files import alone_in, file_hash
from diffusionad.inspector import Inspector, OnnxBackend
from diffusionad.neighbours import Neighbours
from diffusionad.training.data import ENOUGH, GoodPictures, read_good_pictures, read_textures
from diffusionad.training.machine import open_fabric
from diffusionad.training.real import RealDefects, find_real_defects
from diffusionad.training.session import Session
from diffusionad.training.state import Progress
from diffusionad.training.validation import Score
from diffusionad.training.watch import Line
from diffusionad.version import __version__

__all__ = ["TrainedRun", "alone", "counted", "finish", "make_origin", "resolve_run", "run_warnings", "train"]


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
    preset: str | None = None,
    max_time: float | None = None,
    images: int | None = None,
    category: str | None = None,
    layout: str = "auto",
    textures: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    foreground: str | None = None,
    roi: str | Path | None = None,
    settings: Sequence[str] = (),
    config_file: str | Path | None = None,
    defects: str | Path | None = None,
    cache: str | Path | None = None,
    line: Line | None = None,
) -> TrainedRun:
    """Train on the good pictures of a data set, calibrate, and write a bundle to `out`/bundle.

    Args:
        data: folder of good pictures, or a data set in a known layout.
        out: the run's folder; a run already there is resumed.
        preset: tiny, small, base, journal or paper-v1; None: the file's, else small.
        max_time: seconds of training; None: the preset's.
        images: images to see instead; repeatable to the bit.
        category: which one, where a data set has several.
        layout: auto or one of the known layouts.
        textures: folder of texture pictures for synthetic defects; None draws them.
        seed: decides every draw; None: the file's, else 0.
        device: auto, cpu or cuda.
        devices, num_nodes: processes a node, and nodes.
        foreground: auto, statistics, grabcut, "model FILE.onnx", whole, texture or a folder of masks; None: the
            configuration's.
        roi: file of the region of interest, a mask or polygons (`data.roi`); None: the configuration's.
        settings: "section.key=value" each.
        config_file: TOML file with settings.
        defects: folder of a few real defective pictures, which train too and choose nothing; see `find_defects`.
        cache: folder for decoded pictures, which other runs may share; None: memory, or `out`/cache where a set takes
            more than a quarter of what is free. Results do not depend on it.
        line: shows a line of text; True when the next may overwrite it. None: silence.

    Raises:
        UsageError, DataError: what was asked for cannot be.
        TrainingError: the loss is not finite, or `out` holds another run.
        ResourceError: disk or device.
        InterruptedRun: SIGINT or SIGTERM; the state is saved.
    """
    config = resolve_run(preset, max_time, images, seed, foreground, settings, config_file, roi)
    folder, line = Path(out), line or _silent
    place = Path(cache) if cache else None
    good = read_good_pictures(Path(data), config, layout, category, spill=folder / "cache", cache=place)
    real = find_real_defects(Path(defects) if defects else None, Path(data), config, layout, category, good.roi)
    config = counted(config, len(good.training.samples))
    drawn = read_textures(Path(textures) if textures else None, config.network_size)
    fabric = open_fabric(device, devices, num_nodes, config.training)
    if not fabric.is_global_zero:
        line = _silent
    with alone(folder, fabric):
        line(_opening(good, config, fabric, real), False)
        session = Session(fabric, folder, config, good, drawn, line, real)
        before, score, progress = session.progress.images, session.fit(), session.progress
        if fabric.is_global_zero and not (progress.images == before and _is_bundle(folder / "bundle")):
            line("Writing the bundle and calibrating.", False)
            origin = make_origin(Path(data), good, real, progress, score, str(fabric.device))
            finish(folder, session, config, good, origin)
        fabric.barrier()
    bundle = load_bundle(folder / "bundle")
    return TrainedRun(
        folder,
        bundle,
        score,
        progress.images,
        progress.seconds,
        (*run_warnings(good, bundle), *real.warnings),
        tuple(good.unreadable),
    )


def resolve_run(
    preset: str | None,
    max_time: float | None,
    images: int | None,
    seed: int | None,
    foreground: str | None,
    settings: Sequence[str],
    config_file: str | Path | None,
    roi: str | Path | None = None,
) -> Config:
    """The configuration of a run; `images` takes the place of the preset's time limit and the other way round."""
    overrides: dict[str, Any] = {} if seed is None else {"seed": seed}
    if foreground is not None:
        overrides["data.foreground"] = foreground
    if roi is not None:
        overrides["data.roi"] = str(roi)
    if images is not None:
        overrides |= {"training.images": images, "training.max_seconds": max_time, "training.epochs": None}
    elif max_time is not None:
        overrides |= {"training.max_seconds": max_time, "training.images": None, "training.epochs": None}
    config = resolve(preset, file=Path(config_file) if config_file else None, settings=settings, overrides=overrides)
    check_passes(config)
    return config


def counted(config: Config, pictures: int) -> Config:
    """The configuration with its epochs, where it has them, as images seen of so many training pictures."""
    epochs = config.training.epochs
    if epochs is None:
        return config
    training = config.training.model_copy(update={"images": epochs * pictures})
    return config.model_copy(update={"training": training})


def finish(
    folder: Path,
    session: Session,
    config: Config,
    good: GoodPictures,
    origin: Origin,
    false_alarms: float = 0.01,
    sure: float | None = None,
) -> None:
    """Export, calibrate with scores from the very file that will judge, and write the bundle, whole or not at all."""
    detector: Detector = build_detector(config).eval()
    detector.load_state_dict(load_file(session.weights))
    onnx = folder / "model.onnx"
    to_onnx(detector, onnx)
    uncalibrated = Bundle(folder, __version__, config, origin, None, "", good.roi)
    inspector = Inspector(uncalibrated, OnnxBackend(onnx))
    seen = list(zip(good.calibration.pictures, good.calibration.views, strict=True))
    outcomes = [inspector.outcome_of(picture, view) for picture, view in seen]
    rows = [inspector.conditions(*one, outcome) for one, outcome in zip(seen, outcomes, strict=True)]
    write_bundle(
        folder / "bundle",
        config=config,
        origin=origin,
        calibration=calibrate(
            [outcome.image_score for outcome in outcomes],
            false_alarms,
            sure=sure,
            peaks=[float(outcome.anomaly_map.max()) for outcome in outcomes],
            sessions=labels(good.calibration.samples, "session"),
            conditions={name: [row[name] for row in rows] for name in CONDITIONS},
            artifact=file_hash(onnx),
        ),
        weights=session.weights,
        onnx=onnx,
        neighbours=_neighbours(good),
        roi=good.roi,
    )
    onnx.unlink()


def _neighbours(good: GoodPictures) -> str:
    names = [sample.path.name for sample in good.training.samples]
    return Neighbours.choose(names, good.training.pictures).to_text()


def make_origin(
    data: Path, good: GoodPictures, real: RealDefects, progress: Progress, score: Score, device: str
) -> Origin:
    """Where the model of a run comes from, for its bundle."""
    return Origin(
        data=data.resolve().name,
        category=good.training.samples[0].category,
        trained=len(good.training.samples),
        validated=len(good.validation.samples),
        foreground=good.kind,
        images=progress.images,
        seconds=round(progress.seconds, 1),
        device=device,
        image_auroc=score.image_auroc,
        pixel_ap=score.pixel_ap,
        hashes=(*good.hashes, *real.hashes),
        real_defects=real.count,
    )


def _silent(text: str, passing: bool) -> None:
    """Shows nothing: the first process of a run speaks for all."""


def _is_bundle(folder: Path) -> bool:
    try:
        load_bundle(folder)
    except BundleError:
        return False
    return True


def _opening(good: GoodPictures, config: Config, fabric: Fabric, real: RealDefects) -> str:
    held = f", decoded in {good.cache}" if good.cache else ""
    training = config.training
    limits = (training.images and f"{training.images} images", training.max_seconds and f"{training.max_seconds:.0f} s")
    limit = " or ".join(limit for limit in limits if limit)
    few = f" Real defects that train too: {real.count}, {real.outlined} with a mask." if real.count else ""
    return (
        f"{len(good.training.samples)} good pictures to train on, {len(good.validation.samples)} to choose "
        f"the weights, {len(good.calibration.samples)} for the threshold{held}; "
        f"foreground: {good.kind} ({good.reason}). "
        f"Preset {config.preset} at {config.data.size[0]} x {config.data.size[1]}, {limit}, "
        f"{fabric.world_size} x {fabric.device.type}.{few}"
    )


def run_warnings(good: GoodPictures, bundle: Bundle) -> tuple[str, ...]:
    """What a person should read about the pictures of a run."""
    warnings = [f"Left out: {sentence}" for _, sentence in good.unreadable]
    count = sum(len(portion.samples) for portion in (good.training, good.validation, good.calibration))
    if count < ENOUGH:
        warnings.append(
            f"Only {count} good pictures: the threshold is a guess and no false-alarm promise is made; "
            f"take at least {ENOUGH}, better 100 or more."
        )
    return tuple(warnings)


@contextmanager
def alone(folder: Path, fabric: Fabric) -> Iterator[None]:
    """One run at a time in a folder: its first process holds it."""
    if not fabric.is_global_zero:
        yield
        return
    with alone_in(folder, f"Another process trains into {folder}: wait for it, or give another --out folder."):
        yield
