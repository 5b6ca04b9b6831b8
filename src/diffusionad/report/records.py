"""Verdicts as JSON lines and CSV rows, and back: safe for spreadsheets and for any file name."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from diffusionad.errors import DataError
from diffusionad.structures import Fingerprint, Judgement, Neighbour, Region, Spread, Verdict

__all__ = ["COLUMNS", "as_csv", "as_record", "as_row", "from_record", "read_verdicts"]

COLUMNS = (
    *("path", "defect", "verdict", "score", "threshold", "promised", "p_value", "regions", "box", "area", "area_mm2"),
    *("peak", "region_p_value", "nearest", "difference", "spread", "milliseconds", "bundle", "error_code", "error"),
)
"""Columns of CSV files; `defect` is the truth where known, box to region_p_value are those of the strongest region."""


def as_record(verdict: Verdict, files: Mapping[str, str | None] = MappingProxyType({})) -> dict[str, Any]:
    """One verdict as a JSON object; score is null when the picture could not be judged.

    Args:
        verdict: without its arrays, which no line holds.
        files: its "map" and its "reconstruction": names of files, from the folder of the verdicts; None: not kept.
    """
    return {
        "path": verdict.path,
        "verdict": verdict.verdict,
        "score": _number(verdict.score),
        "threshold": verdict.threshold,
        "promised": verdict.promised,
        "lower": verdict.lower,
        "group": verdict.group,
        "p_value": verdict.p_value,
        "regions": [_region(region, verdict.scale) for region in verdict.regions],
        "regions_left_out": verdict.regions_left_out,
        "region_filter": verdict.region_filter,
        "dropped": [_region(region, verdict.scale) for region in verdict.dropped],
        "outlined_at": verdict.outlined_at,
        "nearest": asdict(verdict.nearest) if verdict.nearest else None,
        "spread": asdict(verdict.spread) if verdict.spread else None,
        "conditions": dict(verdict.conditions),
        "native_size": list(verdict.native_size),
        "judged_box": list(verdict.judged_box),
        "judged_share": round(verdict.judged_share, 6),
        "scale": verdict.scale,
        "map": files.get("map"),
        "reconstruction": files.get("reconstruction"),
        "milliseconds": round(verdict.milliseconds, 2),
        "bundle": verdict.bundle,
        "runtime": _runtime(verdict.runtime) if verdict.runtime else None,
        "error_code": verdict.error_code,
        "error": verdict.error,
    }


def from_record(stored: Any) -> Verdict:
    """Reverse of `as_record`, but for what it rounds. Fields that earlier versions did not write may be missing.

    Raises:
        KeyError, TypeError, ValueError: this is no such record.
    """
    if stored["verdict"] not in get_args(Judgement):
        raise ValueError(f"the verdict {stored['verdict']!r} is not known")
    score = stored["score"]
    if (score is None) != (stored["verdict"] == "error"):
        raise ValueError("a score is missing where there is a verdict, or there is one where there is none")
    nearest, runtime, spread = stored.get("nearest"), stored.get("runtime"), stored.get("spread")
    return Verdict(
        path=str(stored["path"]),
        verdict=stored["verdict"],
        score=math.nan if score is None else _real(score),
        threshold=_maybe(stored["threshold"]),
        p_value=_maybe(stored["p_value"]),
        regions=tuple(_as_region(region) for region in stored["regions"]),
        native_size=(int(stored["native_size"][0]), int(stored["native_size"][1])),
        milliseconds=_real(stored["milliseconds"]),
        error_code=stored["error_code"],
        error=stored["error"],
        judged_box=_box(stored.get("judged_box", (0, 0, 0, 0))),
        judged_share=_real(stored.get("judged_share", 0)),
        spread=Spread(int(spread["draws"]), _real(spread["mean"]), _real(spread["deviation"])) if spread else None,
        regions_left_out=int(stored.get("regions_left_out", 0)),
        lower=_maybe(stored.get("lower")),
        group=stored.get("group"),
        conditions={str(name): _real(value) for name, value in stored.get("conditions", {}).items()},
        promised=_maybe(stored.get("promised")),
        dropped=tuple(_as_region(region) for region in stored.get("dropped", ())),
        region_filter=stored.get("region_filter"),
        outlined_at=_maybe(stored.get("outlined_at")),
        scale=_maybe(stored.get("scale")),
        bundle=str(stored.get("bundle", "")),
        runtime=Fingerprint(**{**runtime, "instructions": tuple(runtime["instructions"])}) if runtime else None,
        nearest=Neighbour(str(nearest["name"]), _real(nearest["difference"])) if nearest else None,
    )


def read_verdicts(path: Path) -> Iterator[tuple[Verdict, dict[str, str | None]]]:
    """The verdicts of a file that `predict` or `rejudge` wrote, one at a time, each with `files` as of `as_record`.

    Raises:
        DataError: there is no such file, or a line is no verdict; names the line (``data.verdicts``).
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    stored = json.loads(line)
                    yield from_record(stored), {name: stored.get(name) for name in ("map", "reconstruction")}
                except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
                    raise DataError(
                        f"Line {number} of {path} is no verdict ({type(error).__name__}: {error}): give a "
                        "verdicts.jsonl that `diffusionad predict` finished.",
                        code="data.verdicts",
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): give the verdicts.jsonl that `diffusionad predict` wrote.",
            code="data.verdicts",
        ) from None


def as_csv(verdicts: Iterable[tuple[Verdict, str]]) -> str:
    """(verdict, true defect) pairs as CSV text with a heading."""
    text = io.StringIO()
    writer = csv.writer(text)  # line ends of two characters: Python 3.11 quotes a lone "\r" in a name only then
    writer.writerow(COLUMNS)
    writer.writerows(as_row(verdict, defect) for verdict, defect in verdicts)
    return text.getvalue()


def as_row(verdict: Verdict, defect: str = "") -> list[Any]:
    """The cells of `COLUMNS`."""
    score, strongest = _number(verdict.score), verdict.regions[0] if verdict.regions else None
    return [
        _cell(verdict.path),
        _cell(defect),
        verdict.verdict,
        "" if score is None else repr(score),
        verdict.threshold,
        verdict.promised,
        verdict.p_value,
        len(verdict.regions),
        " ".join(map(str, strongest.box)) if strongest else "",
        strongest.area if strongest else "",
        _mm2(strongest, verdict.scale) if strongest else "",
        strongest.peak if strongest else "",
        strongest.p_value if strongest else "",
        _cell(verdict.nearest.name) if verdict.nearest else "",
        round(verdict.nearest.difference, 2) if verdict.nearest else "",
        verdict.spread.deviation if verdict.spread else "",
        f"{verdict.milliseconds:.2f}",
        _cell(verdict.bundle),
        verdict.error_code,
        _cell(verdict.error or ""),
    ]


def _region(region: Region, scale: float | None) -> dict[str, Any]:
    return {
        "box": list(region.box),
        "area": region.area,
        "area_mm2": _mm2(region, scale),
        "peak": region.peak,
        "p_value": region.p_value,
    }


def _runtime(runtime: Fingerprint) -> dict[str, Any]:
    return {**asdict(runtime), "instructions": list(runtime.instructions)}


def _mm2(region: Region, scale: float | None) -> float | None:
    return None if scale is None else round(region.area * scale**2, 9)


def _as_region(stored: Any) -> Region:
    return Region(_box(stored["box"]), int(stored["area"]), _real(stored["peak"]), _maybe(stored.get("p_value")))


def _box(stored: Any) -> tuple[int, int, int, int]:
    x, y, width, height = stored
    return int(x), int(y), int(width), int(height)


def _maybe(value: Any) -> float | None:
    return None if value is None else _real(value)


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cell(text: str) -> str:
    """No spreadsheet takes a name for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
