"""Tables of a page that are written from rows: what stands between two marks is replaced."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- rows -->\n", "<!-- end of rows -->"
SINCE = "6819719"
"""The commit whose rows of accuracy.csv and kinds.csv are the first of the method as it is."""

Row = dict[str, str]


def rows_of(name: str, since: str | None = None) -> list[Row]:
    """Of a file in results/, in the order in which they were measured; `since`: from the first of that commit on."""
    with (ROOT / "results" / name).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    first = next((place for place, row in enumerate(rows) if row["commit"] == since), 0) if since else 0
    return rows[first:]


def rewrite(page: Path, tables: str) -> None:
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(before + BEGIN + tables + END + rest.split(END)[1], encoding="utf-8")
