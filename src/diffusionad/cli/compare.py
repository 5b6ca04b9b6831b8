"""`diffusionad compare`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.cli.categories import read_layout
from diffusionad.cli.screen import Screen
from diffusionad.comparison import Comparison, comparison_csv
from diffusionad.comparison import compare as judge_both
from diffusionad.data import find_samples
from diffusionad.files import write_text
from diffusionad.inspector import Inspector
from diffusionad.report.paired import Changed, PairedPage, write_paired
from diffusionad.version import __version__

__all__ = ["compare", "write_comparison"]


def compare(
    bundle_a: Path,
    bundle_b: Path,
    data: Path,
    *,
    out: Path,
    category: str | None = None,
    layout: str = "auto",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Compare two bundles on the same test pictures; writes comparison.csv and comparison.html.

    Says that one is better only where the pictures show it (McNemar's exact test, and no more mistakes of either kind).

    Example: diffusionad compare runs/old/bundle runs/new/bundle ./part --out comparison

    Args:
        bundle_a: The one in use.
        bundle_b: The one that may take its place.
        data: Data set with test pictures, in a known layout, or a manifest.
        out: Folder for the results.
        category: Which one, where a data set has several.
        layout: auto, or a name that `diffusionad datasets` lists.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    reading = read_layout(screen, data, layout)
    samples = find_samples(data, reading.layout, category)
    first, second = Inspector.load(bundle_a), Inspector.load(bundle_b)
    result = judge_both(first, second, samples, data=str(data), line=screen.line)
    unjudged = [pair for pair in result.pairs if not pair.judged]
    write_comparison(out, result, (bundle_a, bundle_b), data)
    rows = {name: result.table(name) for name in ("all", "good", "defective")}
    cells = [
        [k, str(t.both), str(t.only_first), str(t.only_second), str(t.neither), f"{t.p_value:.3g}"]
        for k, t in rows.items()
    ]
    screen.table(["pictures", "both right", "only A", "only B", "both wrong", "McNemar p"], cells)
    screen.say(result.conclusion)
    if result.caution:
        screen.say(result.caution)
    changed = sum(pair.changed for pair in result.pairs)
    screen.say(f"{changed} pictures have another verdict. Page: {out / 'comparison.html'}")
    screen.result(
        {
            "better": result.better,
            "conclusion": result.conclusion,
            "caution": result.caution,
            "tables": {name: {**asdict(table), "p_value": table.p_value} for name, table in rows.items()},
            "changed": changed,
            "unjudged": len(unjudged),
            "report": str(out / "comparison.html"),
        }
    )
    return 3 if unjudged else 0


def write_comparison(out: Path, result: Comparison, bundles: tuple[Path, Path], data: Path) -> None:
    """Write comparison.csv and comparison.html into `out`. Raises ResourceError."""
    write_text(out / "comparison.csv", comparison_csv(result))
    write_paired(out / "comparison.html", _page(result, bundles, data))


def _page(result: Comparison, bundles: tuple[Path, Path], data: Path) -> PairedPage:
    tables = {name: result.table(name) for name in ("all", "good", "defective")}
    return PairedPage(
        bundles=(f"{bundles[0]} ({result.keys[0]})", f"{bundles[1]} ({result.keys[1]})"),
        data=str(data),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        conclusion=result.conclusion,
        better=result.better,
        caution=result.caution,
        rows={k: (t.both, t.only_first, t.only_second, t.neither, t.p_value) for k, t in tables.items()},
        promises=result.promises,
        changed=[
            Changed(
                path=pair.first.path,
                defect=pair.defect,
                verdicts=(pair.first.verdict, pair.second.verdict),
                gain=int(pair.right[1]) - int(pair.right[0]) if pair.judged else 0,
                why=pair.why,
                pictures=pair.pictures,
            )
            for pair in result.pairs
            if pair.changed
        ],
        unjudged=[(p.first.path, p.first.error or p.second.error or "") for p in result.pairs if not p.judged],
        versions={"diffusionad": __version__},
    )
