"""Verdicts as JSON objects and CSV rows, safe for spreadsheets and for any file name."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusionad.structures import Verdict

__all__ = ["COLUMNS", "as_csv", "as_record"]

COLUMNS = ("path", "defect", "verdict", "score", "threshold", "p_value", "regions", "milliseconds", "error")
"""Columns of predictions.csv; `defect` is the truth."""


def as_record(verdict: Verdict) -> dict[str, Any]:
    """One verdict as a JSON object; score is null when the picture could not be judged."""
    return {
        "path": verdict.path,
        "verdict": verdict.verdict,
        "score": _number(verdict.score),
        "threshold": verdict.threshold,
        "p_value": verdict.p_value,
        "regions": [{"box": list(r.box), "area": r.area, "peak": r.peak} for r in verdict.regions],
        "regions_left_out": verdict.regions_left_out,
        "native_size": list(verdict.native_size),
        "judged_box": list(verdict.judged_box),
        "judged_share": round(verdict.judged_share, 6),
        "milliseconds": round(verdict.milliseconds, 2),
        "error_code": verdict.error_code,
        "error": verdict.error,
    }


def as_csv(verdicts: Iterable[tuple[Verdict, str]]) -> str:
    """(verdict, true defect) pairs as CSV text with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for verdict, defect in verdicts:
        score = _number(verdict.score)
        writer.writerow(
            [
                _cell(verdict.path),
                _cell(defect),
                verdict.verdict,
                "" if score is None else repr(score),
                verdict.threshold,
                verdict.p_value,
                len(verdict.regions),
                f"{verdict.milliseconds:.2f}",
                _cell(verdict.error or ""),
            ]
        )
    return text.getvalue()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cell(text: str) -> str:
    """No spreadsheet takes a name for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
