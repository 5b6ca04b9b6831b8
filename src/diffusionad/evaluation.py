"""How good a bundle is on pictures whose truth is known: read once, streamed, nothing chosen by them."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diffusionad.bundle import Origin
from diffusionad.calibration import exchangeable
from diffusionad.data import View, labels, pooled, read_mask, read_picture, resize
from diffusionad.errors import DataError, PictureError
from diffusionad.files import file_hash, write_bytes, write_json, write_text
from diffusionad.inspector import Inspector
from diffusionad.metrics import PixelMetrics, PixelResult, auroc, average_precision, f1_max
from diffusionad.report.gallery import Gallery
from diffusionad.report.html import write_report
from diffusionad.report.page import Card, KindRow, Page
from diffusionad.report.pictures import encode, outlined, overlay, to_display
from diffusionad.report.records import as_csv
from diffusionad.structures import GOOD, BoolMap, FloatMap, Picture, Sample, Verdict
from diffusionad.sweeping import map_factor
from diffusionad.version import __version__

__all__ = ["Evaluation", "MetricsAt", "evaluate"]

MetricsAt = Literal["working", "native"]
"""The size at which maps are compared with true masks."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of a bundle on a test set; fractions 0..1, None where it cannot be measured.

    Attributes:
        figures: image_auroc, image_ap, image_f1_max, pixel_auroc, pixel_ap, pixel_f1_max, aupro (FPR 0.3).
        kinds: the same for each kind of defect against all good pictures.
        threshold: stored threshold; None when not calibrated.
        overkill: good pictures called anomalous, of how many.
        escapes: defective pictures called good, of how many.
        review: good and defective pictures that go to a person.
        promise: what the stored threshold promises; None when not calibrated.
        alike: p-value of "the good test pictures and those of the calibration come about alike", on which the promise
            rests; None without either.
        unjudged: (path, sentence) of pictures that could not be judged.
        milliseconds: median from file to verdict.
        metrics_at: size at which pixels were compared, "working" or "native".
        left_out: test pictures that trained the bundle and were not judged.
    """

    figures: dict[str, float | None]
    kinds: dict[str, dict[str, float | int | None]]
    threshold: float | None
    overkill: tuple[int, int]
    escapes: tuple[int, int]
    unjudged: list[tuple[str, str]]
    milliseconds: float
    review: tuple[int, int] = (0, 0)
    promise: str | None = None
    alike: float | None = None
    metrics_at: MetricsAt = "working"
    left_out: int = 0


@dataclass(slots=True)
class _Tally:
    """What is kept of each picture: (verdict without its map, true defect); and the tallies of all pixels."""

    metrics_at: MetricsAt
    judged: list[tuple[Verdict, str]] = field(default_factory=list)
    pixels: dict[str, PixelMetrics] = field(default_factory=dict)
    masked: bool = True


def evaluate(
    inspector: Inspector,
    samples: Sequence[Sample],
    out: Path,
    *,
    data: str,
    metrics_at: MetricsAt = "working",
    line: Callable[[str, bool], None] = lambda text, passing: None,
) -> Evaluation:
    """Judge every test picture and write metrics.json, predictions.csv, overlays/ and report.html into `out`.

    Maps are compared with true masks at working size, the masks resized so that their area is kept; with tiles, of the
    whole picture at their scale, which is native where `data.tile` is the working size. Or at native size, the maps
    grown by `View.to_native`, one picture at a time. Pixels that are not judged (padding, what a crop leaves out, what
    lies outside the region of interest) are not counted.

    Args:
        inspector: the bundle, opened.
        samples: of a data set; those of the split "test" are judged.
        out: folder for the results.
        data: name of the data set, for the report.
        metrics_at: "working" or "native".
        line: shows progress.

    Raises:
        DataError: there is no test picture, or a mask does not fit its picture.
        ResourceError: the disk is full.
    """
    chosen, trained = _unseen([sample for sample in samples if sample.split == "test"], inspector.bundle.origin)
    if trained:
        line(f"Left out: {trained} test pictures that trained this bundle.", False)
    if not chosen:
        raise DataError(
            f"No test picture was found in {data}: expected test/good and test/<defect> beside train/good. "
            "Use `diffusionad predict` for pictures whose truth is not known."
        )
    tally = _Tally(
        metrics_at, pixels={defect: PixelMetrics() for defect in ["", *{s.defect for s in chosen if not s.is_good}]}
    )
    gallery = Gallery(threshold=inspector.threshold, map_threshold=inspector.threshold)
    calibration = inspector.bundle.calibration
    groups = labels(chosen, calibration.group_by) if calibration and calibration.group_by else [None] * len(chosen)
    for number, (sample, group) in enumerate(zip(chosen, groups, strict=True), 1):
        drawn = out / "overlays" / sample.defect / f"{number:05d}_{sample.path.stem[:80]}.png"
        _judge(inspector, sample, group, tally, gallery, drawn)
        line(f"{number}/{len(chosen)} pictures", True)
    evaluation = _summary(inspector, tally, trained)
    write_json(out / "metrics.json", asdict(evaluation))
    write_text(out / "predictions.csv", as_csv(tally.judged))
    write_report(out / "report.html", _page(inspector, tally, evaluation, data), gallery)
    return evaluation


def _judge(
    inspector: Inspector, sample: Sample, group: str | None, tally: _Tally, gallery: Gallery, drawn: Path
) -> None:
    verdict, picture = inspector(sample.path, group, full_map=True), None
    if verdict.anomaly_map is not None:
        try:
            picture = read_picture(sample.path, channels=inspector.bundle.config.data.channels)
            seen = inspector.see(sample.path).picture
        except PictureError as error:  # vanished since it was judged: without its pixels it counts nowhere
            verdict = replace(
                verdict,
                verdict="error",
                score=math.nan,
                p_value=None,
                regions=(),
                anomaly_map=None,
                error_code=error.code,
                error=str(error),
            )
    tally.judged.append((replace(verdict, anomaly_map=None, reconstruction=None), sample.defect))
    if picture is None or verdict.anomaly_map is None or verdict.reconstruction is None:
        return
    view = inspector.view(verdict.native_size)
    true_mask = _true_mask(sample, view)
    if true_mask is None:
        tally.masked = False
    else:
        _count(tally, sample, verdict.anomaly_map, true_mask, view)
    # what is drawn of a tiled picture is of bounded size; figures come from its whole map
    size, found = (verdict.reconstruction.shape[0], verdict.reconstruction.shape[1]), verdict.anomaly_map
    marked = None if true_mask is None else view.mask(true_mask)
    if size != found.shape:
        factor = map_factor(view.working)
        found, marked = pooled(found, factor), None if marked is None else pooled(marked, factor)
    shown = to_display(resize(outlined(to_display(seen), view.judged), size))
    name = f"{sample.defect}/{sample.path.name}"
    gallery.add(
        Card(
            name,
            sample.defect,
            verdict.verdict,
            verdict.score,
            verdict.p_value,
            shown,
            to_display(verdict.reconstruction),
            found,
            marked,
            regions=verdict.regions,
            neighbour=_neighbour(inspector, verdict),
        )
    )
    _write_overlay(drawn, picture, replace(verdict, anomaly_map=found), view)


def _neighbour(inspector: Inspector, verdict: Verdict) -> tuple[str, NDArray[np.uint8]] | None:
    if verdict.nearest is None or inspector.neighbours is None:
        return None
    return verdict.nearest.name, inspector.neighbours.thumbnail(verdict.nearest.name)


def _count(tally: _Tally, sample: Sample, anomaly_map: FloatMap, true_mask: BoolMap, view: View) -> None:
    """Add the pixels of one picture, at the size asked for, to the tallies; `true_mask` is at native size."""
    if tally.metrics_at == "native":
        anomaly_map, judged = view.to_native(anomaly_map), view.judged_native
    else:
        true_mask, judged = view.mask(true_mask), view.judged
    for defect, pixels in tally.pixels.items():
        if defect in ("", sample.defect) or sample.is_good:
            pixels.add(anomaly_map, true_mask, judged)


def _write_overlay(path: Path, picture: Picture, verdict: Verdict, view: View) -> None:
    assert verdict.anomaly_map is not None  # noqa: S101  (the caller checked)
    drawn = overlay(
        to_display(picture),
        view.shown(verdict.anomaly_map),
        verdict.threshold,
        verdict.regions,
        seen=view.source,
        judged=view.inside,
    )
    write_bytes(path, encode(drawn, "png"))


def _true_mask(sample: Sample, view: View) -> BoolMap | None:
    """At native size; None where it is not known."""
    if sample.is_good:
        return np.zeros(view.native, dtype=np.bool_)
    if sample.mask_path is None:
        return None
    return read_mask(sample.mask_path, view.native, picture=sample.path)


def _unseen(samples: list[Sample], origin: Origin) -> tuple[list[Sample], int]:
    """The samples that did not train, and how many did."""
    seen = set(origin.hashes)
    kept = [s for s in samples if not s.path.is_file() or file_hash(s.path)[:16] not in seen]
    return kept, len(samples) - len(kept)


def _summary(inspector: Inspector, tally: _Tally, trained: int) -> Evaluation:
    calibration = inspector.bundle.calibration
    judged = [(v, d) for v, d in tally.judged if v.verdict != "error"]
    good = [v for v, d in judged if d == GOOD]
    bad = [v for v, d in judged if d != GOOD]
    kinds = {}
    for defect in sorted({d for _, d in judged} - {GOOD}):
        of_kind = [v for v, d in judged if d == defect]
        kinds[defect] = {
            "pictures": len(of_kind),
            **_figures(good, of_kind, tally.pixels[defect].result() if tally.masked else None),
            "missed": sum(v.verdict == "good" for v in of_kind) if inspector.threshold is not None else None,
        }
    return Evaluation(
        figures=_figures(good, bad, tally.pixels[""].result() if tally.masked else None),
        kinds=kinds,
        threshold=inspector.threshold,
        overkill=(sum(v.verdict == "anomalous" for v in good), len(good)),
        escapes=(sum(v.verdict == "good" for v in bad), len(bad)),
        unjudged=[(v.path, v.error or "") for v, _ in tally.judged if v.verdict == "error"],
        milliseconds=float(np.median([v.milliseconds for v, _ in tally.judged])),
        review=(sum(v.verdict == "review" for v in good), sum(v.verdict == "review" for v in bad)),
        promise=calibration.sentence() if calibration else None,
        alike=_alike(calibration.scores, [v.score for v in good]) if calibration and good else None,
        metrics_at=tally.metrics_at,
        left_out=trained,
    )


def _alike(known: Sequence[float], new: Sequence[float]) -> float:
    return exchangeable([*known, *new], ["calibration"] * len(known) + ["test"] * len(new))


def _figures(good: Sequence[Verdict], bad: Sequence[Verdict], pixels: PixelResult | None) -> dict[str, float | None]:
    figures: dict[str, float | None] = dict.fromkeys(("image_auroc", "image_ap", "image_f1_max"))
    if good and bad:
        scores = np.array([v.score for v in [*good, *bad]])
        labels = np.array([False] * len(good) + [True] * len(bad))
        figures = {
            "image_auroc": auroc(scores, labels),
            "image_ap": average_precision(scores, labels),
            "image_f1_max": f1_max(scores, labels)[0],
        }
    for name in ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"):
        figures[name] = getattr(pixels, name) if pixels else None
    return figures


def _page(inspector: Inspector, tally: _Tally, evaluation: Evaluation, data: str) -> Page:
    bundle = inspector.bundle
    origin = {key: str(value) for key, value in asdict(bundle.origin).items() if key != "hashes"}
    judged = [(v, d) for v, d in tally.judged if v.verdict != "error"]
    promise = bundle.calibration.sentence() if bundle.calibration else "Not calibrated: scores only, no verdicts."
    return Page(
        title=f"Evaluation of {bundle.origin.category}",
        bundle=f"{bundle.folder} ({bundle.key})",
        data=data,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        figures=evaluation.figures,
        threshold=evaluation.threshold,
        promise=promise,
        overkill=evaluation.overkill,
        escapes=evaluation.escapes,
        unjudged=evaluation.unjudged,
        kinds=[_row(defect, values) for defect, values in evaluation.kinds.items()],
        scores={kind: [v.score for v, d in judged if d == kind] for kind in [GOOD, *evaluation.kinds]},
        provenance={
            "Pixel figures": f"at {tally.metrics_at} size",
            "Training": "\n".join(f"{key}: {value}" for key, value in origin.items()),
            "Configuration": bundle.config.model_dump_json(indent=2),
        },
        calibration=bundle.calibration.scores if bundle.calibration else (),
        lower=bundle.calibration.lower.threshold if bundle.calibration and bundle.calibration.lower else None,
        pro=tally.pixels[""].pro() if tally.masked else (),
        versions={"diffusionad": __version__, "python": platform.python_version(), "numpy": np.__version__},
    )


def _row(defect: str, values: Mapping[str, Any]) -> KindRow:
    names = ("pictures", "image_auroc", "pixel_auroc", "pixel_ap", "missed")
    return KindRow(defect, **{name: values[name] for name in names})
