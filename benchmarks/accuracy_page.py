"""Write the tables of docs/accuracy.md from results: python benchmarks/accuracy_page.py.

Of each set, preset and time the newest row of every seed counts, from the first commit of the method as it is on.
Figures are medians over seeds, with the least and the highest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from pages import ROOT, SINCE, Row, rewrite, rows_of

SETS = ("mvtec_bottle", "mpdd_metal_plate", "kolektor_sdd", "magnetic_tile", "aws_cookie")
FIGURES = ("image_auroc", "pixel_auroc", "aupro", "pixel_ap")
HEAD = "| image AUROC | pixel AUROC | AUPRO | pixel AP |"
WANTED = {
    "mvtec_bottle": (0.998, 0.98, 0.93, 0.78),
    "mpdd_metal_plate": (0.98, 0.97, 0.90, 0.80),
    "kolektor_sdd": (0.96, 0.965, 0.90, 0.45),
    "magnetic_tile": (0.92, 0.86, 0.80, 0.45),
    "aws_cookie": (0.99, 0.95, 0.84, 0.40),
}
"""What was aimed at after 20 minutes of two cores."""

Key = tuple[str, str, int]
"""Set, preset, core-minutes."""


def main() -> None:
    rows = by_key(rows_of("accuracy.csv", SINCE), "seed")
    kinds = by_key(rows_of("kinds.csv", SINCE), "seed", "kind")
    rewrite(ROOT / "docs/accuracy.md", "\n".join([*sets(rows), "", *of_kinds(kinds)]) + "\n")


def by_key(rows: Sequence[Row], *names: str) -> dict[Key, dict[tuple[str, ...], Row]]:
    kept: dict[Key, dict[tuple[str, ...], Row]] = defaultdict(dict)
    for row in rows:
        minutes = round(float(row["minutes"]) * int(row["cores"]))
        kept[row["dataset"], row["preset"], minutes][tuple(row[name] for name in names)] = row
    return kept


def sets(rows: dict[Key, dict[tuple[str, ...], Row]]) -> list[str]:
    lines = [f"| set | preset | core-minutes | seeds {HEAD} good ones rejected | defects passed |"]
    lines.append("|---" * 9 + "|")
    for name in SETS:
        for key in sorted((key for key in rows if key[0] == name), key=lambda key: (key[2], key[1])):
            own = list(rows[key].values())
            seeds = ", ".join(sorted(row["seed"] for row in own))
            counts = " | ".join(", ".join(row[it] for row in own) for it in ("overkill", "escapes"))
            lines.append(f"| {name} | {key[1]} | {key[2]} | {seeds} | {figures(own)} | {counts} |")
        wanted = " | ".join(f"*{figure}*" for figure in WANTED[name])
        lines.append(f"| {name} | *aimed at* | *40* | | {wanted} | | |")
    return lines


def of_kinds(rows: dict[Key, dict[tuple[str, ...], Row]]) -> list[str]:
    lines = [f"| set | kind | preset | core-minutes | pictures {HEAD} passed |", "|---" * 10 + "|"]
    for name in SETS:
        keys = sorted((key for key in rows if key[0] == name), key=lambda key: (key[1], key[2]))
        for key in keys:
            for kind in sorted({kind for _, kind in rows[key]}):
                own = [row for (_, other), row in rows[key].items() if other == kind]
                passed = ", ".join(row["missed"] for row in own)
                lines.append(
                    f"| {name} | {kind} | {key[1]} | {key[2]} | {own[0]['pictures']} | {figures(own)} | {passed} |"
                )
    return lines


def figures(rows: Sequence[Row]) -> str:
    cells = []
    for name in FIGURES:
        values = sorted(float(row[name]) for row in rows)
        apart = f" ({values[0]:.3f}-{values[-1]:.3f})" if len(values) > 1 else ""
        cells.append(f"{median(values):.3f}{apart}")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
