"""`--category all`: the categories of a data set one after the other, a row each and the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffusionad.cli.screen import Screen, number
from diffusionad.data import Reading, recognise

__all__ = ["is_all", "read_layout", "show_categories"]


def read_layout(screen: Screen, data: Path, layout: str) -> Reading:
    """Recognise the layout and say which it is and why. Raises as `recognise`."""
    reading = recognise(data, layout)
    screen.line(f"Layout {reading.layout}: {reading.why}.")
    return reading


def is_all(category: str | None, reading: Reading) -> bool:
    """Whether every category is meant; one that is itself called "all" is only that one."""
    return category == "all" and "all" not in reading.categories


def show_categories(
    screen: Screen, names: Sequence[str], rows: Mapping[str, Mapping[str, float | None]]
) -> dict[str, float | None]:
    """Print one row a category and the mean, and return the mean.

    Args:
        screen: where to print.
        names: of the figures, fractions 0..1; a column each.
        rows: category -> figures; None where one cannot be measured.

    Returns:
        the mean of each figure over all categories; None where a category lacks it, for a mean over some of them would
        look better or worse than it is.
    """
    mean: dict[str, float | None] = {}
    for name in names:
        values = [row[name] for row in rows.values()]
        measured = [value for value in values if value is not None]
        mean[name] = sum(measured) / len(values) if len(measured) == len(values) else None
    table = [[category, *(number(row[name]) for name in names)] for category, row in rows.items()]
    table.append(["mean", *(number(mean[name]) for name in names)])
    screen.table(["category", *(name.replace("_", " ") for name in names)], table)
    return mean
