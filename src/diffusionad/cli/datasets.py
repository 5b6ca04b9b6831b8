"""`diffusionad datasets`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from diffusionad.cli.screen import Screen
from diffusionad.data import known_layouts

__all__ = ["datasets"]


def datasets(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """List the layouts that DATA may have, and the published sets that come in them, with source and licence.

    Example: diffusionad datasets

    Args:
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    for row in known_layouts():
        screen.say(f"{row.name}\n{row.tree}")
        if row.sets:
            screen.say(f"    {row.sets}")
        screen.say()
    screen.say("Nothing is downloaded. Licences are those of the sets, and models trained on a set are bound by them.")
    screen.result(
        {
            "layouts": [
                {"name": row.name, "sign": row.sign, "tree": row.tree, "sets": row.sets} for row in known_layouts()
            ]
        }
    )
    return 0
