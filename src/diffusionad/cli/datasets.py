"""`diffusionad datasets`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from diffusionad.cli.screen import Screen
from diffusionad.data import DATA_SETS, layout_trees

__all__ = ["datasets"]


def datasets(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """List the known layouts, what their folders look like, and the public data sets that come in them.

    Nothing is downloaded. The licence that stands on a data set's own page is the one that counts.

    Example: diffusionad datasets

    Args:
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    for name, tree in layout_trees().items():
        screen.say(f"{name}\n{tree}")
        for known in DATA_SETS:
            if known.layout == name:
                screen.say(f"  {known.name}: {known.url}\n    licence: {known.licence}")
        screen.say()
    screen.result(
        {
            "layouts": [{"name": name, "tree": tree} for name, tree in layout_trees().items()],
            "data_sets": [asdict(known) for known in DATA_SETS],
        }
    )
    return 0
