"""Tables that list pictures: the user's own manifest (CSV or JSON lines), and the one that comes with VisA.

A manifest has a row a picture. Only `path` must be there.

    path        the picture, absolute or relative to the manifest's folder
    label       good (also ok, normal), or the kind of defect; empty: good
    mask        where the defect is, as `path`; only for defective pictures
    split       train or test; empty: train for good pictures, test for others
    category    product class; empty: the manifest's name
    session     the recording it comes from; may be empty
    camera      the camera that took it; may be empty
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal, NoReturn

from diffusionad.data.folders import child
from diffusionad.data.trees import GOOD_NAMES
from diffusionad.errors import DataError
from diffusionad.structures import GOOD, Sample

__all__ = ["is_manifest", "manifest_categories", "manifest_samples", "table_rows", "visa_categories", "visa_samples"]

_COLUMNS = ("path", "label", "mask", "split", "category", "session", "camera")
_VISA_COLUMNS = ("object", "split", "label", "image", "mask")
_VISA_DEFECT = "anomaly"
_LONGEST_NAME = 100  # bytes: a label or category becomes the name of a folder
_SHOWN_LINES = 8


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: the line it ends on, counted from 1, and its values, stripped; "" where there is none."""

    line: int
    values: Mapping[str, str]


def is_manifest(path: Path) -> bool:
    """Whether this is a file named like a manifest: .csv or .jsonl."""
    return path.suffix.lower() in (".csv", ".jsonl") and path.is_file()


def manifest_categories(root: Path) -> dict[str, Path]:
    """The product classes of a manifest, each with the manifest itself; {} where it is none.

    Raises:
        DataError: a row that cannot be; the message names the line.
    """
    if not is_manifest(root):
        return {}
    return {sample.category: root for _, sample in _listed(root)}


def manifest_samples(root: Path, category: str, _: Path) -> Iterator[Sample]:
    """The samples of one class of a manifest. Raises as `manifest_categories`, and when a file is missing."""
    listed = [(line, sample) for line, sample in _listed(root) if sample.category == category]
    files = [(line, path) for line, sample in listed for path in (sample.path, sample.mask_path) if path is not None]
    _check_files([(line, path) for line, path in files if not _is_file(path)], root, "paths count from its own folder")
    yield from (sample for _, sample in listed)


def visa_categories(root: Path) -> dict[str, Path]:
    """The product classes of split_csv/1cls.csv, each with the root; {} where there is no such table."""
    table = _visa_table(root)
    if table is None:
        return {}
    names = {}
    for row in _rows(table, _VISA_COLUMNS, _VISA_COLUMNS):
        _check_name(table, row, "object")
        names[row.values["object"]] = root
    return names


def visa_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """The samples of one class of VisA, split as its table says; masks hold class indices.

    Raises:
        DataError: a row that cannot be, or a file that is missing or outside the folder.
    """
    table = _visa_table(folder)
    assert table is not None  # noqa: S101  (visa_categories found it)
    missing, found = [], []
    for row in _rows(table, _VISA_COLUMNS, _VISA_COLUMNS):
        if row.values["object"] != category:
            continue
        good = row.values["label"].casefold() in GOOD_NAMES
        if not good and row.values["label"].casefold() != _VISA_DEFECT:
            _refuse(table, row, f"has the label {row.values['label']!r}; the known ones are normal and anomaly")
        mask = folder / row.values["mask"] if row.values["mask"] and not good else None
        path = folder / row.values["image"]
        missing += [(row.line, file) for file in (path, mask) if file and not _is_file(file, root)]
        found.append(Sample(path, _split(table, row, good), category, GOOD if good else _VISA_DEFECT, mask))
    _check_files(missing, table, "unpack the data set whole; paths count from its folder")
    yield from found


def _visa_table(root: Path) -> Path | None:
    folder = child(root, "split_csv", root) if root.is_dir() else None
    table = folder / "1cls.csv" if folder else None
    return table if table and _is_file(table, root) else None


def _is_file(path: Path, root: Path | None = None) -> bool:
    """Whether this is a file, and, where `root` is given, lies in it with all links followed."""
    try:
        return path.is_file() and (root is None or path.resolve().is_relative_to(root.resolve()))
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def _listed(manifest: Path) -> Iterator[tuple[int, Sample]]:
    """The samples of a manifest with their lines. Files are not looked for."""
    lines: dict[Path, int] = {}
    for row in _rows(manifest, _COLUMNS, ("path",)):
        sample = _sample(manifest, row)
        if sample.path in lines:
            _refuse(manifest, row, f"lists {str(sample.path)!r} again, which line {lines[sample.path]} already does")
        lines[sample.path] = row.line
        yield row.line, sample


def _sample(manifest: Path, row: _Row) -> Sample:
    values = row.values
    if not values["path"]:
        _refuse(manifest, row, "has no path")
    _check_name(manifest, row, "label")
    _check_name(manifest, row, "category")
    good = not values["label"] or values["label"].casefold() in GOOD_NAMES
    if good and values["mask"]:
        _refuse(manifest, row, "is good but has a mask; give the label of its defect, or no mask")
    return Sample(
        path=manifest.parent / values["path"],
        split=_split(manifest, row, good),
        category=values["category"] or manifest.stem,
        defect=GOOD if good else values["label"],
        mask_path=manifest.parent / values["mask"] if values["mask"] else None,
        session=values["session"] or None,
        camera=values["camera"] or None,
    )


def _split(table: Path, row: _Row, good: bool) -> Literal["train", "test"]:
    named = row.values["split"].casefold()
    if named not in ("", "train", "test"):
        _refuse(table, row, f"has the split {row.values['split']!r}; the known ones are train and test")
    return "train" if named == "train" or (not named and good) else "test"


def _check_name(table: Path, row: _Row, column: str) -> None:
    """Labels and categories become names of folders: none may lead elsewhere."""
    name = row.values[column]
    plain = name.isprintable() and not set(name) & set("/\\")
    if not plain or name in (".", "..") or len(name.encode()) > _LONGEST_NAME:
        _refuse(
            table, row, f"has the {column} {name[:_LONGEST_NAME]!r}, which cannot be the name of a folder; give another"
        )


def _check_files(missing: Sequence[tuple[int, Path]], table: Path, advice: str) -> None:
    if missing:
        shown = "; ".join(f"line {line}: {str(path)!r}" for line, path in missing[:_SHOWN_LINES])
        more = f"; and {len(missing) - _SHOWN_LINES} more" if len(missing) > _SHOWN_LINES else ""
        raise DataError(
            f"{str(table)!r} lists files that are not there ({shown}{more}); {advice}.", code="data.manifest"
        )


def table_rows(table: Path, known: Sequence[str], needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table, CSV or JSON lines: the line, and its values by column, stripped, "" where there is none.

    Raises:
        DataError: no table, an unknown column, or one of `needed` that is missing.
    """
    for row in _rows(table, known, needed):
        yield row.line, dict(row.values)


def _rows(table: Path, known: Sequence[str], needed: Sequence[str]) -> Iterator[_Row]:
    """The rows of a table. Raises a DataError for what is no table, an unknown column, or one that is missing."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{str(table)!r} cannot be read: {reason}.", code="data.manifest") from error
    for line, values in _json_rows(table, text) if table.suffix.lower() == ".jsonl" else _csv_rows(table, text):
        _check_columns(table, line, list(values), known, needed)
        yield _Row(line, {name: values.get(name, "") for name in known})


def _check_columns(table: Path, line: int, named: Sequence[str], known: Sequence[str], needed: Sequence[str]) -> None:
    unknown = [name for name in named if name not in known]
    missing = [name for name in needed if name not in named]
    if unknown or missing:
        wrong = f"has the unknown column {unknown[0]!r}" if unknown else f"lacks the column {missing[0]!r}"
        raise DataError(
            f"{str(table)!r}, line {line}, {wrong}; the known ones are {', '.join(known)}.", code="data.manifest"
        )


def _csv_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        heading = [name.strip() for name in next(reader, [])]
        if len(set(heading)) < len(heading):
            raise DataError(f"{str(table)!r} names a column twice: {', '.join(heading)}.", code="data.manifest")
        if not any(heading):
            raise DataError(f"{str(table)!r} is empty; its first line must name the columns.", code="data.manifest")
        for cells in reader:
            if len(cells) > len(heading):
                raise DataError(
                    f"{str(table)!r}, line {reader.line_num}, has {len(cells)} cells for {len(heading)} columns; "
                    "put names that hold a comma in quotes.",
                    code="data.manifest",
                )
            if any(cell.strip() for cell in cells):
                padded = [*cells, *[""] * (len(heading) - len(cells))]
                yield reader.line_num, {name: cell.strip() for name, cell in zip(heading, padded, strict=True)}
    except csv.Error as error:
        raise DataError(
            f"{str(table)!r}, line {reader.line_num}, is not CSV: {error}.", code="data.manifest"
        ) from error


def _json_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not all(isinstance(value, str | None) for value in row.values()):
            raise DataError(
                f'{str(table)!r}, line {line}, is not a JSON object of texts, such as {{"path": "0.png"}}.',
                code="data.manifest",
            )
        yield line, {name: (value or "").strip() for name, value in row.items()}


def _refuse(table: Path, row: _Row, what: str) -> NoReturn:
    raise DataError(f"{str(table)!r}, line {row.line}, {what}.", code="data.manifest")
