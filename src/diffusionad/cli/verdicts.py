"""`diffusionad rejudge`: what can be done with stored verdicts, without pictures and without the network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.bundle import load_bundle
from diffusionad.calibration import Calibration
from diffusionad.cli.screen import Screen, millimetres
from diffusionad.errors import UsageError
from diffusionad.region_filter import RegionFilter
from diffusionad.rejudging import rejudge as judge_anew
from diffusionad.report.exports import parse_formats, write_exports

__all__ = ["rejudge"]

Json = Annotated[bool, Parameter(negative=())]


def rejudge(
    verdicts: Path,
    *,
    out: Path,
    threshold: float | None = None,
    regions: str | None = None,
    scale: str | None = None,
    bundle: Path | None = None,
    write: str = "",
    json: Json = False,
) -> int:
    """Judge stored verdicts anew with another threshold or region filter, without running the network.

    Exit code 0: all good, 1: something anomalous or to review, 3: some could not be judged (never counted as good).

    Example: diffusionad rejudge out/verdicts.jsonl --regions "area > 20 and peak > 0.7" --out strict/verdicts.jsonl

    Args:
        verdicts: File verdicts.jsonl that `predict` wrote. Stored maps are looked for beside it.
        out: File for the new verdicts.
        threshold: Image score above which a picture is anomalous; else each verdict keeps its own.
        regions: Which regions count, such as "area > 20 and peak > 0.7"; a picture without any is good.
        scale: Side of a pixel, such as 0.05mm or 50um; areas are then also in square millimetres.
        bundle: The bundle that judged, to say what a new threshold promises.
        write: Further files beside OUT: csv, coco, parquet, separated by commas.
        json: Print one JSON object instead of text.
    """
    screen, formats = Screen(json), parse_formats(write)
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"A threshold is an image score from 0 to 1; it is {threshold}.")
    calibration: Calibration | None = load_bundle(bundle).calibration if bundle else None
    counts, changed = judge_anew(
        verdicts,
        out,
        threshold=threshold,
        region_filter=None if regions is None else RegionFilter.parse(regions),
        scale=None if scale is None else millimetres(scale),
        calibration=calibration,
    )
    written = [str(path) for path in write_exports(out, formats)]
    screen.say(
        f"{counts.total} pictures: {counts.good} good, {counts.anomalous} anomalous, {counts.review} to review, "
        f"{counts.error} could not be judged. {changed} have another verdict than before. Verdicts: {out}"
    )
    screen.result(
        {**asdict(counts), "total": counts.total, "changed": changed, "verdicts": str(out), "written": written}
    )
    return counts.exit_code
