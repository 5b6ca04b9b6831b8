"""`diffusionad rejudge` and `replay`: stored verdicts at another threshold, and judged once more."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.bundle import load_bundle
from diffusionad.calibration import Calibration
from diffusionad.cli.screen import Screen, millimetres
from diffusionad.errors import DataError, UsageError
from diffusionad.inspector import Inspector, Runtime
from diffusionad.region_filter import RegionFilter
from diffusionad.rejudging import rejudge as judge_anew
from diffusionad.replaying import ACROSS
from diffusionad.replaying import replay as judge_again
from diffusionad.report.exports import parse_formats, write_exports
from diffusionad.report.records import read_verdicts

__all__ = ["rejudge", "replay"]

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


def replay(verdicts: Path, bundle: Path, *, runtime: Runtime | None = None, json: Json = False) -> int:
    """Judge the pictures of stored verdicts once more and tell every difference. Nothing is written.

    On the same runtime and processor scores must be equal to the last bit. Exit code 0: all as before, 1: something
    differs, 3: a picture can no longer be judged.

    Example: diffusionad replay verdicts/verdicts.jsonl runs/part/bundle

    Args:
        verdicts: File verdicts.jsonl that `predict` wrote; its pictures lie where they lay.
        bundle: Folder of the bundle that judged.
        runtime: onnx, openvino or torch; else what the bundle was exported to, or onnx.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    first = next(read_verdicts(verdicts), None)
    if first is None:
        raise DataError(f"{verdicts} holds no verdict: give the verdicts.jsonl that `predict` wrote.")
    written, scale = first[0].region_filter, first[0].scale
    region_filter = None if written is None else RegionFilter.parse(written)
    inspector = Inspector.load(bundle, runtime, region_filter=region_filter, scale=scale)
    found = judge_again(verdicts, inspector, seen=lambda count: screen.line(f"{count} pictures", True))
    if found.differences:
        rows = [[repr(one.path), one.what, one.before, one.after] for one in found.differences]
        screen.table(["picture", "differs in", "before", "now"], rows)
    screen.say(f"{found.same} pictures are judged as before, {len(found.differences)} are not.")
    if found.elsewhere:
        screen.say(
            f"{found.elsewhere} were judged on another runtime or processor; of those judged as before {found.rounded} "
            f"have a score that differs, by no more than {ACROSS:g}."
        )
    screen.result({**asdict(found), "exit_code": found.exit_code})
    return found.exit_code
