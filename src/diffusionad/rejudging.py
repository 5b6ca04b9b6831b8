"""Stored verdicts under another threshold or region filter: the same arithmetic as `predict`, without the network.

Verdicts follow exactly from the stored scores, regions from the stored anomaly maps (`predict --maps`).
Without maps they are known only at the threshold at which they were outlined.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from diffusionad.calibration import Calibration
from diffusionad.errors import DataError, UsageError
from diffusionad.files import write_file
from diffusionad.prediction import Counts
from diffusionad.region_filter import RegionFilter
from diffusionad.report.records import as_record, read_verdicts
from diffusionad.scoring import find_regions, settled
from diffusionad.structures import FloatMap, Region, Verdict

__all__ = ["rejudge", "rejudged"]


def rejudge(
    verdicts: Path,
    out: Path,
    *,
    threshold: float | None = None,
    region_filter: RegionFilter | None = None,
    scale: float | None = None,
    calibration: Calibration | None = None,
) -> tuple[Counts, int]:
    """Write the verdicts of a file anew to `out`, whole or not at all.

    Args:
        verdicts: what `predict` wrote, with its maps beside it where there are any.
        out: file for the new verdicts; it may be the same. In another folder its lines name no files.
        threshold: image score above which a picture is anomalous; None: each verdict's own.
        region_filter: which regions count; None: all.
        scale: millimetres a native pixel; None: each verdict's own.
        calibration: of the bundle that judged; gives what the new threshold promises and p-values of new regions.

    Returns:
        how many pictures have which verdict now, and how many have another one than before.

    Raises:
        DataError: a line is no verdict, or a map is missing or broken.
        UsageError: no threshold is known, or the regions that the filter asks about are not.
    """
    counts: Counter[str] = Counter()
    changed, beside = 0, out.resolve().parent == verdicts.resolve().parent

    def fill(temporary: Path) -> None:
        nonlocal changed
        with temporary.open("w", encoding="utf-8") as lines:
            for before, files in read_verdicts(verdicts):
                found = replace(before, scale=before.scale if scale is None else scale)
                after = rejudged(found, _map_of(verdicts.parent, files["map"]), threshold, region_filter, calibration)
                counts[after.verdict] += 1
                changed += after.verdict != before.verdict
                lines.write(json.dumps(as_record(after, files if beside else {}), allow_nan=False) + "\n")

    write_file(out, fill)
    return Counts(**{name: counts[name] for name in ("good", "review", "anomalous", "error")}), changed


def rejudged(
    before: Verdict,
    anomaly_map: FloatMap | None,
    threshold: float | None,
    region_filter: RegionFilter | None,
    calibration: Calibration | None,
) -> Verdict:
    """One verdict anew. Arguments and errors as of `rejudge`; `anomaly_map` is [h, w] over `judged_box`."""
    if before.verdict == "error":
        return before
    new = before.threshold if threshold is None else threshold
    if new is None:
        raise UsageError(
            f"{before.path!r} was judged by a bundle without a threshold: give one, such as --threshold 0.5."
        )
    known = before
    if new != before.threshold:
        own = calibration.of(before.group) if calibration else None
        above = sum(score > new for score in own.scores) if own else 0
        promised = (above + 1) / (own.n + 1) if own and own.promised is not None else None
        lower = before.lower if before.lower is not None and before.lower < new else None
        known = replace(before, promised=promised, lower=lower)
    if before.score <= new:
        return settled(known, new, (), region_filter)
    if anomaly_map is not None:
        listed = _outlined(known, anomaly_map, new, calibration)
        return settled(replace(known, regions_left_out=0), new, listed, region_filter)
    if new == before.outlined_at or region_filter is None:
        stored = sorted((*before.regions, *before.dropped), key=lambda one: (-one.peak, -one.area, one.box))
        after = settled(known, new, tuple(one for one in stored if one.peak > new), region_filter)
        return replace(after, outlined_at=before.outlined_at)
    raise UsageError(
        f"The regions of {before.path!r} above {new:g} are not known: it was outlined at {before.outlined_at}. "
        "Judge with `diffusionad predict --maps`, then any threshold and region filter can be tried together."
    )


def _outlined(
    known: Verdict, anomaly_map: FloatMap, threshold: float, calibration: Calibration | None
) -> tuple[Region, ...]:
    x, y, width, height = known.judged_box
    told = {
        region.peak: region.p_value for region in (*known.regions, *known.dropped)
    }  # a p-value is of the peak alone
    found = []
    for region in find_regions(anomaly_map, threshold, (height, width)):
        left, top, *size = region.box
        p_value = calibration.region_p_value(region.peak, known.group) if calibration else told.get(region.peak)
        found.append(replace(region, box=(left + x, top + y, size[0], size[1]), p_value=p_value))
    return tuple(found)


def _map_of(folder: Path, name: str | None) -> FloatMap | None:
    """A stored map [h, w] float32; None where none was stored."""
    if name is None:
        return None
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError("it lies outside the folder of the verdicts")
        loaded = np.load(path, allow_pickle=False)
        if loaded.ndim != 2 or loaded.dtype != np.float32 or not np.isfinite(loaded).all():
            raise ValueError("it is no finite [h, w] float32")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The map {path} cannot be read ({error}): judge the pictures anew.", code="data.map") from None
    anomaly_map: FloatMap = loaded
    return anomaly_map
