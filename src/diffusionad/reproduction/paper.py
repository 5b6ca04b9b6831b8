"""What the paper reports, read from the tables beside this file; each names its source in the first line."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["DATA_SETS", "Table", "categories_of", "read_table", "reported"]

DATA_SETS = ("mvtec", "visa", "dagm", "mpdd")
"""The four benchmarks of the journal version; v1 has tables of two of them."""

METHOD = "DiffusionAD"

_TABLES = {
    ("visa", "image_auroc"): "visa_image_auroc",
    ("visa", "aupro"): "visa_pro",
    ("dagm", "image_auroc"): "dagm_image_auroc",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table as printed; figures are percent or images/s.

    Attributes:
        source: the first line of its file: which table of which paper.
        columns: names after the first column.
        rows: name in the first column -> text of each other column.
    """

    source: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, str]]


def read_table(name: str) -> Table:
    """A table of the package, by the name of its file."""
    text = files("diffusionad.reproduction").joinpath("tables", f"{name}.csv").read_text(encoding="utf-8")
    source, _, body = text.partition("\n")
    heading, *rows = csv.reader(body.splitlines())
    return Table(
        source.removeprefix("# "),
        tuple(heading[1:]),
        {row[0]: dict(zip(heading[1:], row[1:], strict=True)) for row in rows},
    )


def categories_of(dataset: str) -> tuple[str, ...]:
    """The categories of a benchmark, in the order of the paper's table where it has one."""
    if (dataset, "image_auroc") in _TABLES:
        return tuple(name for name in read_table(_TABLES[dataset, "image_auroc"]).rows if name != "average")
    text = files("diffusionad.reproduction").joinpath("tables", "categories.csv").read_text(encoding="utf-8")
    return tuple(row[1] for row in csv.reader(text.splitlines()[2:]) if row[0] == dataset)


def reported(dataset: str, category: str, figure: str) -> float | None:
    """The paper's own figure as a fraction, `category` may be "average"; None where v1 reports none."""
    name = _TABLES.get((dataset, figure))
    row = read_table(name).rows.get(category) if name else None
    return round(float(row[METHOD]) / 100, 5) if row else None
