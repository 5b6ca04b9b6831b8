"""`diffusionad calibrate`, `evaluate`, `predict` and `info`: everything that needs a bundle and no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.bundle import load_bundle, recalibrate
from diffusionad.calibration import calibrate as find_threshold
from diffusionad.cli.categories import is_all, read_layout, show_categories
from diffusionad.cli.screen import Screen, number, share
from diffusionad.data import Reading, find_pictures, find_samples
from diffusionad.errors import CalibrationError, DataError, UsageError
from diffusionad.evaluation import Evaluation
from diffusionad.evaluation import evaluate as measure
from diffusionad.files import file_hash
from diffusionad.inspector import Inspector
from diffusionad.prediction import predict as judge
from diffusionad.structures import Verdict

__all__ = ["calibrate", "evaluate", "info", "predict", "show_evaluation"]

Json = Annotated[bool, Parameter(negative=())]

_FIGURES = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")


def calibrate(
    bundle: Path,
    data: Path,
    *,
    false_alarms: str = "0.01",
    category: str | None = None,
    layout: str = "auto",
    json: Json = False,
) -> int:
    """Set the threshold from good pictures that were never trained on.

    Example: diffusionad calibrate runs/part/bundle ./good_tuesday --false-alarms 1/100

    Args:
        bundle: Folder of the bundle; its threshold is replaced.
        data: Folder of good pictures, or a data set in a known layout, whose good test pictures are taken.
        false_alarms: Share of good pictures that may be called anomalous: 0.01, 1/100 or 1%.
        category: Which one, where a data set has several.
        layout: auto, or a name that `diffusionad datasets` lists.
        json: Print one JSON object instead of text.
    """
    screen, allowed = Screen(json), share(false_alarms)
    inspector = Inspector.load(bundle)
    good = [sample for sample in find_samples(data, layout, category) if sample.is_good]
    chosen = [sample for sample in good if sample.split == "test"] or good
    seen = set(inspector.bundle.origin.hashes)
    scores, unjudged, known = [], [], []
    for done, sample in enumerate(chosen, 1):
        if sample.path.is_file() and file_hash(sample.path)[:16] in seen:
            known.append(sample.path)
            continue
        verdict = inspector(sample.path)
        if verdict.verdict == "error":
            unjudged.append(verdict.error)
        else:
            scores.append(verdict.score)
        screen.line(f"{done}/{len(chosen)} pictures", True)
    if known:
        raise CalibrationError(
            f"{len(known)} of {len(chosen)} pictures in {data} trained this bundle (the first: {known[0]}): "
            "a threshold needs good pictures that it has never seen.",
            code="calibration.trained_on",
        )
    calibration = find_threshold(scores, allowed)
    recalibrate(inspector.bundle, calibration)
    for reason in unjudged:
        screen.say(f"left out: {reason}")
    screen.say(f"Threshold {calibration.threshold:.4f}. {calibration.sentence()}")
    screen.result({**calibration.to_json(), "sentence": calibration.sentence(), "unjudged": unjudged})
    return 3 if unjudged else 0


def evaluate(
    bundle: Path, data: Path, *, out: Path, category: str | None = None, layout: str = "auto", json: Json = False
) -> int:
    """Measure a bundle on a data set's test pictures; writes metrics.json, predictions.csv, overlays and report.html.

    Example: diffusionad evaluate runs/bottle/bundle ./mvtec/bottle --out runs/bottle/evaluation

    Args:
        bundle: Folder of the bundle; with --category all, the folder that holds CATEGORY/bundle for each.
        data: Data set with test pictures, in a known layout, or a manifest.
        out: Folder for the results; with --category all, each in OUT/CATEGORY.
        category: Which one, where a data set has several; all: one after the other.
        layout: auto, or a name that `diffusionad datasets` lists.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    reading = read_layout(screen, data, layout)
    if is_all(category, reading):
        return _evaluate_all(screen, bundle, data, out, reading)
    result = _evaluate(screen, bundle, data, out, reading.layout, category)
    show_evaluation(screen, result, out)
    screen.result(asdict(result))
    return 3 if result.unjudged else 0


def _evaluate(screen: Screen, bundle: Path, data: Path, out: Path, layout: str, category: str | None) -> Evaluation:
    inspector = Inspector.load(bundle)
    return measure(inspector, find_samples(data, layout, category), out, data=str(data), line=screen.line)


def _evaluate_all(screen: Screen, bundles: Path, data: Path, out: Path, reading: Reading) -> int:
    missing = [name for name in reading.categories if not (bundles / name / "bundle").is_dir()]
    if missing:
        raise UsageError(
            f"There is no bundle {str(bundles / missing[0] / 'bundle')!r} for the category {missing[0]!r}"
            + (f", and none for {len(missing) - 1} more" if len(missing) > 1 else "")
            + "; train them all with `diffusionad train ... --category all`, or give one --category."
        )
    results = {}
    for name in reading.categories:
        screen.line(f"Category {name!r}.")
        results[name] = _evaluate(screen, bundles / name / "bundle", data, out / name, reading.layout, name)
    mean = show_categories(screen, _FIGURES, {name: result.figures for name, result in results.items()})
    unjudged = [(name, *fault) for name, result in results.items() for fault in result.unjudged]
    for name, path, reason in unjudged:
        screen.say(f"not judged: {name}: {path}: {reason}")
    screen.say(f"Reports: {out}/CATEGORY/report.html")
    screen.result({"categories": {name: asdict(result) for name, result in results.items()}, "mean": mean})
    return 3 if unjudged else 0


def show_evaluation(screen: Screen, result: Evaluation, out: Path) -> None:
    """The short table of an evaluation."""
    rows = [["all", *(number(result.figures[name]) for name in _FIGURES)]]
    for defect, values in result.kinds.items():
        rows.append([defect, *(number(values[name]) for name in _FIGURES)])
    screen.table(["defect", *(name.replace("_", " ") for name in _FIGURES)], rows)
    if result.threshold is not None:
        screen.say(
            f"At the threshold {result.threshold:.4f}: {result.overkill[0]} of {result.overkill[1]} good pictures "
            f"rejected, {result.escapes[0]} of {result.escapes[1]} defective ones passed."
        )
    for path, reason in result.unjudged:
        screen.say(f"not judged: {path}: {reason}")
    screen.say(f"{result.milliseconds:.1f} ms a picture (median). Report: {out / 'report.html'}")


def predict(bundle: Path, paths: list[str], /, *, out: Path, overlays: bool = True, json: Json = False) -> int:
    """Judge pictures: files, folders (searched whole) and globs. Writes OUT/verdicts.jsonl and OUT/overlays.

    Exit code 0: all good, 1: something anomalous or to review, 3: some could not be judged (never counted as good).

    Example: diffusionad predict runs/part/bundle ./new "shift2/*.png" --out verdicts

    Args:
        bundle: Folder of the bundle.
        paths: Pictures.
        out: Folder for the results.
        overlays: Also draw what was found.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    inspector = Inspector.load(bundle)
    if inspector.threshold is None:
        screen.say("warning: this bundle is not calibrated: it gives scores, no verdicts.")

    def seen(verdict: Verdict) -> None:
        if verdict.verdict == "error":
            screen.say(f"{'error':>9}          {verdict.error}")
        elif verdict.verdict != "good":
            screen.say(f"{verdict.verdict:>9}  {verdict.score:.4f}  {verdict.path!r}  {len(verdict.regions)} regions")
        else:
            screen.line(f"{'good':>9}  {verdict.score:.4f}  {verdict.path!r}", True)

    counts = judge(inspector, find_pictures(paths), out, overlays=overlays, seen=seen)
    if not counts.total:
        raise DataError(f"No picture was found in {', '.join(paths)}: give files, folders or globs of pictures.")
    screen.say(
        f"{counts.total} pictures: {counts.good} good, {counts.anomalous} anomalous, {counts.review} to review, "
        f"{counts.error} could not be judged. Verdicts: {out / 'verdicts.jsonl'}"
    )
    screen.result({**asdict(counts), "total": counts.total, "verdicts": str(out / "verdicts.jsonl")})
    return counts.exit_code


def info(
    bundle: Path | None = None,
    *,
    preset: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    json: Json = False,
) -> int:
    """Say what a bundle is, what it was trained on, its numbers and its limits; or what a preset would take here.

    Example: diffusionad info runs/part/bundle

    Args:
        bundle: Folder of the bundle.
        preset: Instead of a bundle: sizes of this preset's networks and the time of a run here, without training.
        settings: With --preset: section.key=value, any number of times.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    if (bundle is None) == (preset is None):
        raise UsageError("Give the folder of a bundle, or --preset NAME, one of the two.")
    if bundle is None or preset is not None:
        from diffusionad.cli.sizes import show_preset

        show_preset(screen, preset or "", settings or [])
        return 0
    opened = load_bundle(bundle)
    screen.say((bundle / "card.md").read_text(encoding="utf-8").strip())
    screen.say(f"\nBundle {opened.key}, verified.")
    origin = {key: value for key, value in asdict(opened.origin).items() if key != "hashes"}
    calibration = opened.calibration
    screen.result(
        {
            "key": opened.key,
            "version": opened.version,
            "origin": origin,
            "threshold": calibration.threshold if calibration else None,
            "promise": calibration.sentence() if calibration else None,
            "config": opened.config.model_dump(mode="json"),
        }
    )
    return 0
