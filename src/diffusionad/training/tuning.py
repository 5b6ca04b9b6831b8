"""Fine-tuning: a bundle's weights go on from where they are, on its own good pictures and what has been added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffusionad.bundle import Bundle, load_bundle
from diffusionad.config import Config
from diffusionad.errors import DataError, UsageError
from diffusionad.files import file_hash
from diffusionad.structures import Sample
from diffusionad.training.data import GoodPictures, read_good_pictures
from diffusionad.training.machine import open_fabric
from diffusionad.training.real import NO_DEFECTS, RealDefects, read_real_defects
from diffusionad.training.runs import TrainedRun, alone, finish, make_origin, run_warnings
from diffusionad.training.session import Session
from diffusionad.training.watch import Line

__all__ = ["GENTLER", "fine_tune"]

GENTLER = 0.3
"""Factor of the learning rates: what was learned shall not be shaken off."""


def fine_tune(
    bundle: Bundle,
    data: Path,
    out: Path,
    *,
    layout: str,
    category: str | None,
    good: Sequence[Path],
    defects: Sequence[Sample],
    max_time: float | None,
    images: int | None,
    device: str,
    line: Line,
) -> TrainedRun:
    """Train `bundle` further for a bounded time or number of images, calibrate, and write a bundle to `out`/bundle.

    The weights are chosen on held-out good pictures with planted defects, the threshold on good pictures that neither
    trained nor chose; `defects` only train. Run again with the same arguments it resumes.

    Args:
        bundle: what to go on from.
        data: the data set it was trained on; its split is that of the first training.
        out: folder of this run.
        layout, category: how to read `data`.
        good: good pictures that are added; they only train.
        defects: defective pictures that are added.
        max_time: seconds. images: images to see instead, repeatable to the bit.
        device: auto, cpu or cuda.
        line: shows a line of text.

    Raises:
        UsageError: no images at all.
        DataError: `data` is not what the bundle was trained on.
        InterruptedRun, TrainingError, ResourceError: as `train`.
    """
    if images is not None and images < 1:
        raise UsageError(f"{images} images are none: fine-tune on 1 or more.")
    config = _gently(bundle, max_time, images)
    pictures = read_good_pictures(data, config, layout, category, spill=out / "cache", added=good)
    _check_origin(bundle, pictures, good, data)
    real = read_real_defects(defects, config, pictures.roi) if defects else NO_DEFECTS
    fabric = open_fabric(device, 1, 1, config.training)
    with alone(out, fabric):
        line(_opening(bundle, config, pictures, good, real), False)
        session = Session(fabric, out, config, pictures, [], line, real, bundle.weights)
        score, progress = session.fit(), session.progress
        new, old = make_origin(data, pictures, real, progress, score, str(fabric.device)), bundle.origin
        origin = replace(
            new,
            data=old.data,
            category=old.category,
            images=old.images + new.images,
            seconds=round(old.seconds + new.seconds, 1),
            hashes=tuple(sorted({*old.hashes, *new.hashes})),
            real_defects=len({*old.hashes, *real.hashes}) - len(old.hashes) + old.real_defects,
        )
        asked = bundle.calibration
        share, sure = (asked.requested, asked.sure) if asked else (0.01, None)
        finish(out, session, bundle.config, pictures, origin, share, sure)
    made = load_bundle(out / "bundle")
    warnings = (*run_warnings(pictures, made), *real.warnings)
    return TrainedRun(out, made, score, progress.images, progress.seconds, warnings, tuple(pictures.unreadable))


def _opening(bundle: Bundle, config: Config, pictures: GoodPictures, added: Sequence[Path], real: RealDefects) -> str:
    training = config.training
    limit = f"{training.images} images" if training.images else f"{training.max_seconds:.0f} s"
    return (
        f"Fine-tuning {bundle.key} for {limit} on {len(pictures.training.samples)} good pictures, {len(added)} of them "
        f"from operators, and {real.count} real defects, {real.outlined} with a mask."
    )


def _gently(bundle: Bundle, max_time: float | None, images: int | None) -> Config:
    """The bundle's settings with a budget and gentler rates; its region of interest is the one it holds."""
    config, training = bundle.config, bundle.config.training
    roi = str(bundle.folder / "roi.png") if bundle.roi is not None else None
    limits = {"images": images, "epochs": None, "max_seconds": None if images else max_time}
    rates = {
        "denoiser_rate": training.denoiser_rate * GENTLER,
        "segmenter_rate": training.segmenter_rate * GENTLER,
    }
    return config.model_copy(
        update={
            "training": training.model_copy(update=limits | rates),
            "data": config.data.model_copy(update={"roi": roi}),
        }
    )


def _check_origin(bundle: Bundle, pictures: GoodPictures, added: Sequence[Path], data: Path) -> None:
    """The pictures of the data set that train now are those that trained then."""
    known = {*bundle.origin.hashes, *(file_hash(path)[:16] for path in added)}
    strange = set(pictures.hashes) - known
    if strange:
        raise DataError(
            f"{len(strange)} of the pictures of {str(data)!r} that would train were not among those that trained the "
            f"bundle ({bundle.origin.category!r} of {bundle.origin.data!r}): give the very data set it was trained on, "
            "unchanged; new pictures come in by feedback.",
            code="feedback.other_data",
        )
