"""Write the tables of docs/benchmark.md from results/benchmark.csv: python benchmarks/side_by_side.py.

Of each data set, method and number of threads the newest row counts; a row that was measured goes before one that
failed. What stands between the two marks of the page is replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean

from pages import ROOT, Row, rewrite, rows_of

SETS = ("mvtec_bottle", "mpdd_metal_plate", "kolektor_sdd", "magnetic_tile", "aws_cookie")
FIGURES = ("image_auroc", "pixel_auroc", "aupro", "pixel_ap")
TITLES = (
    *("method", "image AUROC", "95 %", "pixel AUROC", "AUPRO", "pixel AP", "rejected", "passed", "train s", "ms"),
    *("memory MB", "disk MB"),
)


def main() -> None:
    rewrite(ROOT / "docs/benchmark.md", tables(newest(rows_of("benchmark.csv"))))


def newest(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """By data set and method; a measured row stays when a later one failed."""
    kept: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["dataset"], row["method"]
        if key not in kept or row["image_auroc"] or not kept[key]["image_auroc"]:
            kept[key] = row
    return kept


def tables(rows: dict[tuple[str, str], Row]) -> str:
    by_method: dict[str, dict[str, Row]] = defaultdict(dict)
    for (dataset, method), row in rows.items():
        by_method[method][dataset] = row
    whole = {
        name: [mean(float(found[it][figure]) for it in SETS) for figure in (*FIGURES, "median_ms")]
        for name, found in by_method.items()
        if all(it in found and found[it]["image_auroc"] for it in SETS)
    }
    ranked = sorted(whole, key=lambda name: -whole[name][0])
    lines = ["Means over the five sets, of the methods that were measured on all of them:", ""]
    lines += ["| method | image AUROC | pixel AUROC | AUPRO | pixel AP | ms |", "|---|---|---|---|---|---|"]
    for name in ranked:
        *figures, taken = whole[name]
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in figures)} | {taken:.0f} |")
    others = sorted(set(by_method) - set(ranked), key=lambda name: (-len(by_method[name]), name))
    for dataset in SETS:
        lines += ["", f"### {dataset}", "", f"| {' | '.join(TITLES)} |", "|" + "---|" * len(TITLES)]
        lines += [_line(by_method[name][dataset]) for name in (*ranked, *others) if dataset in by_method[name]]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    if not row["image_auroc"]:
        return f"| {row['method']} | {row['status']} |" + " |" * (len(TITLES) - 2)
    trained = float(row["trained_seconds"] or row["fit_seconds"])
    cells = [
        row["method"] + ("" if row["threads"] == "2" else " (one core)"),
        f"{float(row['image_auroc']):.3f}",
        f"{float(row['image_auroc_low']):.3f}-{float(row['image_auroc_high']):.3f}",
        *(f"{float(row[name]):.3f}" for name in FIGURES[1:]),
        row["false_alarms"],
        row["escapes"],
        *(f"{value:.0f}" for value in (trained, float(row["median_ms"]), float(row["peak_mb"]))),
        f"{float(row['disk_mb']):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
