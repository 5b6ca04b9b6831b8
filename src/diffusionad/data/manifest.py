"""A table of pictures that lie anywhere: CSV with a header, or JSON lines.

Columns: path (the only one that must be there), label, mask, split, category, session. Relative paths start at the
table's folder. The label "good" (also normal, ok, or none) is good; anything else names a defect. Without a split, good
pictures are learned from and defective ones test.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diffusionad.errors import DataError
from diffusionad.structures import GOOD, Sample

__all__ = ["is_table", "manifest_categories", "manifest_samples"]

_ENDINGS = frozenset({".csv", ".jsonl"})

_COLUMNS = ("path", "label", "mask", "split", "category", "session")
_GOOD_LABELS = frozenset({"", GOOD, "normal", "ok"})


def is_table(path: Path) -> bool:
    """A file that is named like a manifest."""
    return path.suffix.lower() in _ENDINGS and path.is_file()


def manifest_categories(table: Path) -> dict[str, Path]:
    """The categories it names; rows without one belong to the category named like the file."""
    return {row["category"] or table.stem: table for _, row in _rows(table)}


def manifest_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """Its rows of one category.

    Raises:
        DataError: a line is not one, names an unknown column or split, or a file that is missing.
    """
    for number, row in _rows(root):
        if (row["category"] or root.stem) != category:
            continue
        defect = GOOD if row["label"].casefold() in _GOOD_LABELS else row["label"]
        split = row["split"].casefold() or ("train" if defect == GOOD else "test")
        if split not in ("train", "test") or (split == "train" and defect != GOOD):
            raise DataError(
                f"Line {number} of {str(root)!r}: split {row['split']!r} with label {row['label']!r}; "
                "the splits are train, for good pictures, and test."
            )
        mask = _file(root, row["mask"], number) if row["mask"] and defect != GOOD else None
        yield Sample(_file(root, row["path"], number), "train" if split == "train" else "test", category, defect, mask)


def _file(table: Path, written: str, number: int) -> Path:
    path = table.parent / written
    if not path.is_file():
        raise DataError(f"Line {number} of {str(table)!r}: {written!r} is missing.")
    return path


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        lines = list(_read(table))
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise DataError(f"The table {str(table)!r} cannot be read: {error}.") from error
    for number, row in lines:
        if not isinstance(row, dict) or None in row or not all(isinstance(value, str | None) for value in row.values()):
            raise DataError(f"Line {number} of {str(table)!r} is not a row of text values under the header.")
        if unknown := set(row) - set(_COLUMNS):
            raise DataError(
                f"Line {number} of {str(table)!r} has the unknown column {sorted(unknown)[0]!r}; "
                f"the known ones are {', '.join(_COLUMNS)}."
            )
        if not row.get("path"):
            raise DataError(f"Line {number} of {str(table)!r} has no path.")
        yield number, {name: (row.get(name) or "").strip() if name != "path" else row["path"] for name in _COLUMNS}


def _read(table: Path) -> Iterator[tuple[int, Mapping[Any, Any] | Any]]:
    with table.open(newline="", encoding="utf-8-sig") as stream:
        if table.suffix.lower() == ".csv":
            reader = csv.DictReader(stream)
            for row in reader:
                yield reader.line_num, row
        else:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, json.loads(line)
