"""`diffusionad doctor`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.cli.screen import Screen, share
from diffusionad.doctor import Examination, Finding, examine, write_findings
from diffusionad.report.html import one_line

__all__ = ["doctor"]

_NAMES = 5
"""Files named for each finding; all of them are in the JSON, and most in the page."""


def doctor(
    data: Path,
    *,
    layout: str = "auto",
    category: str | None = None,
    out: Path | None = None,
    false_alarms: str = "0.01",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Look for faults in a data set before training on it, and say what to do. Changes nothing in it.

    Exit code 0: nothing found, 1: findings, 2: nothing can be learned from it.

    Example: diffusionad doctor ./good --out check

    Args:
        data: Folder of good pictures, or a data set in a known layout.
        layout: auto, or a name that `diffusionad datasets` lists.
        category: Which one, where a data set has several.
        out: Folder for doctor.html, a page with the pictures concerned.
        false_alarms: Share of good pictures that may be called anomalous: 0.01, 1/100 or 1%.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    examination = examine(
        data,
        layout=layout,
        category=category,
        false_alarms=share(false_alarms),
        seen=lambda done, total: screen.line(f"{done}/{total} pictures", True),
    )
    page = None
    if out is not None:
        page = out / "doctor.html"
        write_findings(page, examination, datetime.now().astimezone().isoformat(" ", "minutes"))
    _show(screen, examination)
    if page is not None:
        screen.say(f"Page: {one_line(str(page))}")
    screen.result({**examination.to_json(), "page": None if page is None else str(page)})
    return examination.exit_code


def _show(screen: Screen, examination: Examination) -> None:
    for finding in examination.findings:
        _show_finding(screen, finding, examination.root)
    counts = examination.counts
    screen.say(
        f"{counts['training']} good pictures to learn from; {counts['test_good']} good and "
        f"{counts['test_defective']} defective ones to test with; {counts['unreadable']} unreadable."
    )
    found = [finding.severity for finding in examination.findings]
    if not examination.usable:
        screen.say("Nothing can be learned from this data set as it is.")
    elif not found:
        screen.say("Nothing was found.")
    else:
        parts = [f"{found.count(name)} {name}" for name in ("broken", "risk", "note") if name in found]
        screen.say(f"Findings: {', '.join(parts)}.")


def _show_finding(screen: Screen, finding: Finding, root: Path) -> None:
    screen.say(f"{finding.severity:>6}  {one_line(finding.sentence)}")
    rows = list(finding.rows(root))
    for name, remark in rows[:_NAMES]:
        screen.say(f"          {one_line(name)}" + (f"  ({one_line(remark)})" if remark else ""))
    if len(rows) > _NAMES:
        screen.say(f"          and {len(rows) - _NAMES} more")
    screen.say(f"        > {one_line(finding.advice)}\n")
