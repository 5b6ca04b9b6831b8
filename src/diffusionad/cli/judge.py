"""`diffusionad evaluate`, `predict` and `info`: everything that needs a bundle and no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, cast

from cyclopts import Parameter

from diffusionad.bundle import load_bundle
from diffusionad.cli.categories import is_all, read_layout, show_categories
from diffusionad.cli.screen import Screen, millimetres, number, share
from diffusionad.cli.stream import Stream, say_alike
from diffusionad.data import Reading, find_pictures, find_samples
from diffusionad.errors import DataError, UsageError
from diffusionad.evaluation import Evaluation, MetricsAt
from diffusionad.evaluation import evaluate as measure
from diffusionad.fingerprint import usable_processors
from diffusionad.inspector import Inspector, Runtime
from diffusionad.prediction import predict as judge
from diffusionad.region_filter import RegionFilter
from diffusionad.report.exports import parse_formats, write_exports
from diffusionad.structures import Verdict

__all__ = ["evaluate", "info", "predict", "show_evaluation"]

Json = Annotated[bool, Parameter(negative=())]

MOST_ABREAST = 4
"""Pictures judged at the same time: memory grows with them, and further processors help with each."""

_FIGURES = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")


def evaluate(
    bundle: Path,
    data: Path,
    *,
    out: Path,
    category: str | None = None,
    layout: str = "auto",
    metrics_at: MetricsAt = "working",
    json: Json = False,
) -> int:
    """Measure a bundle on a data set's test pictures; writes metrics.json, predictions.csv, overlays and report.html.

    Example: diffusionad evaluate runs/bottle/bundle ./mvtec/bottle --out runs/bottle/evaluation

    Args:
        bundle: Folder of the bundle; with --category all, the folder that holds CATEGORY/bundle for each.
        data: Data set with test pictures, in a known layout, or a manifest.
        out: Folder for the results; with --category all, each in OUT/CATEGORY.
        category: Which one, where a data set has several; all: one after the other.
        layout: auto, or a name that `diffusionad datasets` lists.
        metrics_at: working or native: the size at which pixel figures are measured.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    reading = read_layout(screen, data, layout)
    if is_all(category, reading):
        return _evaluate_all(screen, bundle, data, out, reading, metrics_at)
    result = _evaluate(screen, bundle, data, out, reading.layout, category, metrics_at)
    show_evaluation(screen, result, out)
    screen.result(asdict(result))
    return 3 if result.unjudged else 0


def _evaluate(
    screen: Screen, bundle: Path, data: Path, out: Path, layout: str, category: str | None, metrics_at: MetricsAt
) -> Evaluation:
    inspector, samples = Inspector.load(bundle), find_samples(data, layout, category)
    return measure(inspector, samples, out, data=str(data), metrics_at=metrics_at, line=screen.line)


def _evaluate_all(screen: Screen, bundles: Path, data: Path, out: Path, reading: Reading, metrics_at: MetricsAt) -> int:
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
        results[name] = _evaluate(screen, bundles / name / "bundle", data, out / name, reading.layout, name, metrics_at)
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
        if any(result.review):
            screen.say(f"To review: {result.review[0]} good pictures, {result.review[1]} defective ones.")
        screen.say(f"Promised: {result.promise}")
        say_alike(screen, "The good test pictures and those of the calibration", result.alike)
    for path, reason in result.unjudged:
        screen.say(f"not judged: {path}: {reason}")
    screen.say(f"{result.milliseconds:.1f} ms a picture (median). Report: {out / 'report.html'}")


def predict(
    bundle: Path,
    paths: list[str],
    /,
    *,
    out: Path,
    overlays: bool = True,
    maps: Annotated[bool, Parameter(negative=())] = False,
    reconstructions: Annotated[bool, Parameter(negative=())] = False,
    regions: str | None = None,
    scale: str | None = None,
    write: str = "",
    runtime: Runtime | Literal["auto"] | None = None,
    draws: int = 1,
    group: str | None = None,
    recheck: str | None = None,
    watch: str | None = None,
    json: Json = False,
) -> int:
    """Judge pictures: files, folders (searched whole) and globs. Writes OUT/verdicts.jsonl and OUT/overlays.

    Exit code 0: all good, 1: something anomalous or to review, 3: some could not be judged (never counted as good).

    Example: diffusionad predict runs/part/bundle ./new "shift2/*.png" --out verdicts

    Args:
        bundle: Folder of the bundle.
        paths: Pictures.
        out: Folder for the results.
        overlays: Also draw what was found.
        maps: Also keep the anomaly maps, so that `rejudge` can outline at another threshold.
        reconstructions: Also keep pictures of what each part should look like.
        regions: Which regions count, such as "area > 20 and peak > 0.7"; a picture without any is good.
        scale: Side of a pixel, such as 0.05mm or 50um; areas are then also in square millimetres.
        write: Further files beside verdicts.jsonl: csv, coco, parquet, separated by commas.
        runtime: onnx, openvino (fp32) or torch; auto: the faster of the first two on this machine, measured once.
            Else what the bundle was exported to, or onnx.
        draws: Draws of the noise; more than one tell how much each score depends on it, and take as many times as long.
        group: Camera or product of all pictures, where the bundle has a threshold for each; else told by their folders.
        recheck: List the pictures to look at again, so that at most this share of the list is good on average: 10%.
        watch: Say whether pictures changed since calibration, with this chance of a false alarm at most: 1%.
        json: Print one JSON object instead of text.
    """
    screen, formats = Screen(json), parse_formats(write)
    if runtime == "auto":
        from diffusionad.choosing import fastest_runtime

        found, told = fastest_runtime(load_bundle(bundle))
        runtime = cast(Runtime, found)
        screen.line(told)
    inspector = Inspector.load(
        bundle,
        runtime,
        region_filter=None if regions is None else RegionFilter.parse(regions),
        scale=None if scale is None else millimetres(scale),
        draws=draws,
        abreast=1 if len(paths) == 1 and Path(paths[0]).is_file() else min(usable_processors(), MOST_ABREAST),
    )
    if inspector.threshold is None:
        screen.say("warning: this bundle is not calibrated: it gives scores, no verdicts.")
    stream = Stream(inspector.bundle.calibration, _share(recheck), _share(watch), group)

    def seen(verdict: Verdict) -> None:
        stream.add(verdict)
        if verdict.verdict == "error":
            screen.say(f"{'error':>9}          {verdict.error}")
        elif verdict.verdict != "good":
            unsure = f" ± {verdict.spread.deviation:.4f}" if verdict.spread else ""
            counted = f"{len(verdict.regions)} regions"
            screen.say(f"{verdict.verdict:>9}  {verdict.score:.4f}{unsure}  {verdict.path!r}  {counted}")
        else:
            screen.line(f"{'good':>9}  {verdict.score:.4f}  {verdict.path!r}", True)

    counts = judge(
        inspector,
        find_pictures(paths),
        out,
        overlays=overlays,
        maps=maps,
        reconstructions=reconstructions,
        group=group,
        seen=seen,
    )
    if not counts.total:
        raise DataError(f"No picture was found in {', '.join(paths)}: give files, folders or globs of pictures.")
    screen.say(
        f"{counts.total} pictures: {counts.good} good, {counts.anomalous} anomalous, {counts.review} to review, "
        f"{counts.error} could not be judged. Verdicts: {out / 'verdicts.jsonl'}"
    )
    written = [str(path) for path in write_exports(out / "verdicts.jsonl", formats)]
    made = {"verdicts": str(out / "verdicts.jsonl"), "written": written}
    screen.result({**asdict(counts), "total": counts.total, **made, **stream.told(screen)})
    return counts.exit_code


def _share(text: str | None) -> float | None:
    return None if text is None else share(text)


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
