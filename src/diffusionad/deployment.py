"""A bundle exported to another runtime: made, compared with the networks it comes from, calibrated anew, written.

What is compared and calibrated is the very file that will judge. The pictures are good ones that never trained the
bundle, and the same with a synthetic defect each. Both sides judge by a threshold from these very pictures, so that a
verdict can only change by the networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from diffusionad.artifact import Artifact, Parity, Precision, Target
from diffusionad.bundle import Bundle, install_export, load_bundle
from diffusionad.calibration import Calibration, calibrate
from diffusionad.data import Seen, labels
from diffusionad.errors import ExportError, PictureError, ResourceError, UsageError
from diffusionad.files import file_hash, write_json
from diffusionad.inspector import Inspector
from diffusionad.network_files import to_openvino, to_quantised_onnx
from diffusionad.rng import generator
from diffusionad.scoring import find_regions
from diffusionad.structures import FloatMap, Image, Picture, Region, Sample
from diffusionad.synthesis import Synthesizer, Textures
from diffusionad.tensors import to_image, to_picture

__all__ = ["GUARD", "Exported", "export_bundle", "range_images"]

GUARD = 0.02
"""Score on either side of the old threshold in which another verdict is the new calibration's to settle."""

LEAST = 5
"""Good pictures that a comparison takes."""

MOST = 200
"""Good pictures that are compared, evenly spread."""

RANGES = 64
"""Training pictures that show the ranges for int8, at most."""

_PRECISIONS: dict[Target, tuple[Precision, ...]] = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "torch-export": ("fp32",),
}

SELF_TEST = {"fp32": 1e-3, "bf16": 2e-2, "int8": 2e-2}
"""How far the score of the self-test picture may be off on another machine: other kernels round otherwise."""

Line = Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it.

    Attributes:
        bundle: the exported bundle, verified and opened once.
        artifact: what judges in it, with its parity.
        unjudged: a sentence for each picture that could not be read.
    """

    bundle: Bundle
    artifact: Artifact
    unjudged: tuple[str, ...]


def export_bundle(
    folder: Path,
    samples: Sequence[Sample],
    out: Path,
    target: Target,
    precision: Precision,
    *,
    guard: float = GUARD,
    any_batch: bool = False,
    line: Line = lambda text, passing: None,
) -> Exported:
    """Export the bundle in `folder` to the bundle `out`.

    Args:
        folder: the bundle, calibrated and not itself exported.
        samples: good pictures of its data set. Those that did not train it compare and calibrate, those that did show
            the ranges for int8.
        out: folder of the new bundle; what was there is replaced, once all is well.
        target, precision: onnx in fp32 or int8, openvino in fp32, bf16 or int8, torch-export in fp32.
        guard: see `Parity.guard`.
        any_batch: the file takes any number of images at once; onnx in fp32 only. Here it is always asked for one.
        line: shows progress.

    Raises:
        UsageError: a combination that does not exist, a bundle without threshold or already exported, or too few good
            pictures.
        ExportError: a verdict changed beyond the guard; `out` is untouched, the report lies beside it.
        ResourceError: a runtime is missing, the processor lacks the precision, the disk is full.
    """
    bundle = load_bundle(folder)
    wanted = _check(bundle, target, precision, any_batch)
    fresh, trained = _sorted(bundle, samples)
    with TemporaryDirectory(prefix="diffusionad-") as name:
        made = Path(name)
        files = [_anew(bundle, made)] if any_batch else _networks(bundle, made, target, precision, trained, line)
        reference = Inspector.load(folder, "torch" if find_spec("torch") else "onnx")
        first, unjudged = _readable(reference, fresh)
        height, width = bundle.config.data.size
        np.save(made / "selftest.npy", first.picture[:height, :width])
        files.append(made / "selftest.npy")
        untested = Artifact(target, precision, reference.fingerprint, 0.0, 1.0)
        candidate = _opened(install_export(bundle, made / "stage", untested, files, None))
        before, after = (_calibrated(one, wanted, fresh, line) for one in (reference, candidate))
        parity = _compared(reference, candidate, fresh, (before.threshold, after.threshold), guard, line)
        expected = candidate.score_of(np.load(made / "selftest.npy", allow_pickle=False))
        artifact = Artifact(target, precision, candidate.fingerprint, expected, SELF_TEST[precision], parity)
        if parity.flips_beyond:
            report = out.with_name(f"{out.name}.refused.json")
            write_json(report, artifact.to_json())
            raise ExportError(f"Nothing was exported. {parity.sentence()} Report: {report}")
        installed = _opened(install_export(bundle, out, artifact, files, after))
        installed.test_itself(artifact)
    return Exported(installed.bundle, artifact, tuple(unjudged))


def _check(bundle: Bundle, target: Target, precision: Precision, any_batch: bool) -> Calibration:
    if precision not in _PRECISIONS.get(target, ()):
        raise UsageError(
            f"There is no export to {target} in {precision}: onnx is fp32 or int8, openvino fp32, bf16 or int8, "
            "torch-export fp32."
        )
    if any_batch and (target, precision) != ("onnx", "fp32"):
        raise UsageError(f"A file for any batch is made for onnx in fp32 only, not for {target} in {precision}.")
    if bundle.artifact is not None:
        raise UsageError(f"{bundle.folder} is itself an export (to {bundle.artifact.runtime}): export its origin.")
    if bundle.calibration is None:
        raise UsageError(f"The bundle {bundle.folder} has no threshold to compare verdicts by: calibrate it first.")
    return bundle.calibration


def _sorted(bundle: Bundle, samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Good pictures that never trained the bundle, and those that did."""
    fresh: list[Sample] = []
    trained: list[Sample] = []
    for sample in samples:
        known = sample.path.is_file() and file_hash(sample.path)[:16] in bundle.origin.hashes
        (trained if known else fresh).append(sample)
    if len(fresh) < LEAST:
        raise UsageError(
            f"An export is compared and calibrated on at least {LEAST} good pictures that did not train the bundle; "
            f"{len(fresh)} of the {len(samples)} given are: give the data set it was trained on, or new good pictures."
        )
    return fresh, trained


def _networks(
    bundle: Bundle, made: Path, target: Target, precision: Precision, trained: Sequence[Sample], line: Line
) -> list[Path]:
    """The files that will run, beside model.onnx, which the bundle has."""
    if target == "torch-export":
        return [_program(bundle, made / "network.pt2")]
    images = None
    if precision == "int8":
        if len(trained) < LEAST:
            raise UsageError(
                f"int8 takes its ranges from at least {LEAST} good pictures that trained the bundle; {len(trained)} of "
                "those given did: give the data set it was trained on."
            )
        line("Quantising.", False)
        images = range_images(bundle, trained)
    if target == "openvino":
        path = to_openvino(bundle.onnx, made, images)
        return [path, path.with_suffix(".bin")]
    return [to_quantised_onnx(bundle.onnx, made, images)] if images else []


def _program(bundle: Bundle, path: Path) -> Path:
    try:
        from diffusionad.assembly import detector_of
        from diffusionad.export import to_program
    except ImportError:
        raise _without_torch("torch-export") from None
    to_program(detector_of(bundle.config, bundle.weights), path)
    return path


def _anew(bundle: Bundle, made: Path) -> Path:
    """The networks once more as ONNX, for any batch."""
    try:
        from diffusionad.assembly import detector_of
        from diffusionad.export import to_onnx
    except ImportError:
        raise _without_torch("A file for any batch") from None
    to_onnx(detector_of(bundle.config, bundle.weights), made / "network.onnx", any_batch=True)
    return made / "network.onnx"


def _without_torch(what: str) -> ResourceError:
    return ResourceError(f'{what} needs torch: pip install "diffusionad[train]".', code="extra.missing")


def _opened(bundle: Bundle) -> Inspector:
    """An export made here; also one that `Inspector.load` does not open because it could come from elsewhere."""
    if bundle.artifact is None or bundle.artifact.runtime != "torch-export":
        return Inspector.load(bundle.folder)
    from diffusionad.export import ProgramBackend

    return Inspector(bundle, ProgramBackend(bundle.network))


def range_images(bundle: Bundle, samples: Sequence[Sample]) -> list[Image]:
    """[C, H, W] of good pictures that trained the bundle, evenly spread: they show the ranges for int8."""
    trained = [sample for sample in samples if file_hash(sample.path)[:16] in bundle.origin.hashes]
    inspector, (height, width) = Inspector.load(bundle.folder), bundle.config.data.size
    chosen = trained[:: max(1, -(-len(trained) // RANGES))]
    return [to_image(inspector.see(sample.path).picture[:height, :width]) for sample in chosen]


def _readable(inspector: Inspector, samples: list[Sample]) -> tuple[Seen, list[str]]:
    """The first picture, and a sentence for each that cannot be read, which is taken out of `samples`."""
    first, faults = None, list[str]()
    for sample in list(samples):
        try:
            seen = inspector.see(sample.path)
        except PictureError as error:
            faults.append(str(error))
            samples.remove(sample)
            continue
        first = first or seen
    if first is None or len(samples) < LEAST:
        raise UsageError(f"Only {len(samples)} good pictures could be read, {LEAST} are needed: {faults[0]}")
    return first, faults


def _calibrated(inspector: Inspector, wanted: Calibration, samples: Sequence[Sample], line: Line) -> Calibration:
    """The promise of the stored threshold, from scores of these pictures by these networks."""
    scores, peaks, rows = list[float](), list[float](), list[dict[str, float]]()
    for place, sample in enumerate(samples, 1):
        seen = inspector.see(sample.path)
        outcome = inspector.outcome_of(seen.picture, seen.view)
        scores.append(outcome.image_score)
        peaks.append(float(outcome.anomaly_map.max()))
        rows.append(inspector.conditions(seen.picture, seen.view, outcome))
        line(f"{place}/{len(samples)} pictures for the threshold", True)
    return calibrate(
        scores,
        wanted.requested,
        sure=wanted.sure,
        peaks=peaks,
        sessions=labels(samples, "session"),
        conditions={name: [row[name] for row in rows] for name in rows[0]},
        artifact=file_hash(inspector.bundle.network),
    )


def _compared(
    reference: Inspector,
    candidate: Inspector,
    samples: Sequence[Sample],
    thresholds: tuple[float, float],
    guard: float,
    line: Line,
) -> Parity:
    """Both side by side, one picture at a time; `thresholds` are the old and the new."""
    old, new = thresholds
    flips = beyond = met = regions = good = planted = 0
    apart, scores_apart = 0.0, 0.0
    chosen = samples[:: -(-len(samples) // MOST)]
    for place, sample in enumerate(chosen):
        seen = reference.see(sample.path)
        for picture in (seen.picture, _planted(reference, place, seen)):
            before, after = (one.outcome_of(picture, seen.view) for one in (reference, candidate))
            apart = max(apart, float(np.abs(before.anomaly_map - after.anomaly_map).max()))
            scores_apart = max(scores_apart, abs(before.image_score - after.image_score))
            if (before.image_score > old) != (after.image_score > new):
                flips += 1
                beyond += abs(before.image_score - old) > guard
            known = _outlined(before.anomaly_map, old)
            regions += len(known)
            met += sum(_meets(one, after.anomaly_map, new) for one in known)
        good, planted = good + 1, planted + 1
        line(f"{place + 1}/{len(chosen)} pictures compared", True)
    recall = met / regions if regions else None
    return Parity(reference.fingerprint.runtime, good, planted, apart, scores_apart, guard, flips, beyond, recall)


def _planted(inspector: Inspector, place: int, seen: Seen) -> Picture:
    """The same picture with a synthetic defect."""
    config = inspector.bundle.config
    synthesizer = Synthesizer(Textures(()), config.synthesis.kinds, config.synthesis.normal_share)
    rng = generator(config.seed, "planted", place)
    return to_picture(synthesizer.plant(rng, to_image(seen.picture), None, seen.view.judged).image)


def _outlined(anomaly_map: FloatMap, threshold: float) -> tuple[Region, ...]:
    height, width = anomaly_map.shape
    return find_regions(anomaly_map, threshold, (height, width))


def _meets(region: Region, anomaly_map: FloatMap, threshold: float) -> bool:
    x, y, width, height = region.box
    return bool((anomaly_map[y : y + height, x : x + width] > threshold).any())
