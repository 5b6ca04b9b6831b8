"""Stored verdicts for other programs: CSV, COCO and Parquet, written from verdicts.jsonl a line at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

from diffusionad.errors import ResourceError, UsageError
from diffusionad.files import write_file
from diffusionad.report.records import COLUMNS, as_record, as_row, read_verdicts
from diffusionad.structures import Verdict
from diffusionad.version import __version__

__all__ = ["FORMATS", "parse_formats", "write_exports"]

_ROWS = 1000
"""Verdicts in memory at a time for Parquet; a row group each."""


def parse_formats(text: str) -> tuple[str, ...]:
    """'csv,coco' -> its names.

    Raises:
        UsageError: a name is not known.
        ResourceError: parquet is asked for and pyarrow is not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f'Unknown format "{name}" to write. Known formats: {", ".join(sorted(FORMATS))}.')
    if "parquet" in names:
        _pyarrow()
    return names


def write_exports(verdicts: Path, formats: tuple[str, ...]) -> list[Path]:
    """Write the formats beside `verdicts`, each whole or not at all; gives their paths.

    Raises:
        DataError: a line of `verdicts` is no verdict.
        ResourceError: the disk is full, or pyarrow is not installed.
    """
    written = []
    for name in formats:
        file_name, write = FORMATS[name]
        path = verdicts.with_name(file_name)
        write_file(path, lambda temporary, write=write: write(verdicts, temporary))  # type: ignore[misc]
        written.append(path)
    return written


def _write_csv(verdicts: Path, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(as_row(verdict) for verdict, _ in read_verdicts(verdicts))


def _write_coco(verdicts: Path, path: Path) -> None:
    """Images and annotations in two passes, so that memory stays flat. Pictures that could not be judged are no images.

    An annotation is a region: its box, its area, its peak as `score`. Boxes only: `segmentation` is empty.
    """
    with path.open("w", encoding="utf-8") as stream:
        description = f"Regions found by diffusionad {__version__}"
        stream.write(f'{{"info": {json.dumps({"description": description})}, "licenses": [],\n')
        stream.write('"categories": [{"id": 1, "name": "anomaly", "supercategory": "anomaly"}],\n"images": [')
        _write_list(stream, (image for image, _ in _coco(verdicts)))
        stream.write('],\n"annotations": [')
        _write_list(stream, (annotation for _, found in _coco(verdicts) for annotation in found))
        stream.write("]}\n")


def _coco(verdicts: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    annotations = 0
    for number, (verdict, _) in enumerate(read_verdicts(verdicts), 1):
        if verdict.verdict == "error":
            continue
        height, width = verdict.native_size
        image = {"id": number, "file_name": verdict.path, "width": width, "height": height}
        image |= {"verdict": verdict.verdict, "score": verdict.score}
        found = []
        for region in verdict.regions:
            annotations += 1
            place = {"id": annotations, "image_id": number, "category_id": 1, "iscrowd": 0, "segmentation": []}
            found.append({**place, "bbox": list(region.box), "area": region.area, "score": region.peak})
        yield image, found


def _write_list(stream: IO[str], items: Iterator[dict[str, Any]]) -> None:
    for index, item in enumerate(items):
        stream.write((",\n" if index else "\n") + json.dumps(item, allow_nan=False))


def _write_parquet(verdicts: Path, path: Path) -> None:
    pyarrow, parquet = _pyarrow()
    text, real, whole = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    box = pyarrow.list_(whole)
    region = pyarrow.struct({"box": box, "area": whole, "area_mm2": real, "peak": real, "p_value": real})
    names = {"path": text, "verdict": text, "score": real, "threshold": real, "promised": real, "lower": real}
    names |= {"group": text, "p_value": real, "regions": pyarrow.list_(region), "region_filter": text}
    names |= {
        "regions_left_out": whole,
        "dropped": pyarrow.list_(region),
        "outlined_at": real,
        "nearest": text,
        "difference": real,
    }
    names |= {"native_size": box, "judged_box": box, "judged_share": real, "scale": real, "milliseconds": real}
    names |= {
        "conditions": pyarrow.map_(text, real),
        "bundle": text,
        "runtime": text,
        "error_code": text,
        "error": text,
    }
    names["spread"] = pyarrow.struct({"draws": whole, "mean": real, "deviation": real})
    schema = pyarrow.schema(names)
    rows = (_flat(verdict) for verdict, _ in read_verdicts(verdicts))
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, _ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _flat(verdict: Verdict) -> dict[str, Any]:
    record = as_record(verdict)
    runtime, nearest = verdict.runtime, verdict.nearest
    return record | {
        "path": verdict.path.encode("utf-8", "backslashreplace").decode("utf-8"),
        "nearest": nearest.name if nearest else None,
        "difference": nearest.difference if nearest else None,
        "conditions": list(verdict.conditions.items()),
        "runtime": json.dumps(record["runtime"]) if runtime else None,
    }


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ResourceError(
            'Parquet files need pyarrow: pip install "diffusionad[parquet]".', code="extra.missing"
        ) from None
    return pyarrow, pyarrow.parquet


FORMATS: Mapping[str, tuple[str, Callable[[Path, Path], None]]] = {
    "csv": ("verdicts.csv", _write_csv),
    "coco": ("coco.json", _write_coco),
    "parquet": ("verdicts.parquet", _write_parquet),
}
"""Name -> file beside verdicts.jsonl, and what writes it."""
