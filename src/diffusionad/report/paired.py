"""The page of a comparison of two bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionad.files import write_text
from diffusionad.report.gallery import data_uri
from diffusionad.report.html import environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Changed", "PairedPage", "write_paired"]

ROOM = 40_000
"""Most bytes of a shown picture."""
MOST_LISTED = 2000


@dataclass(frozen=True, slots=True)
class Changed:
    """A picture on which the verdicts differ; `gain` is 1 where only B is right, -1 where only A is, else 0."""

    path: str
    defect: str
    verdicts: tuple[str, str]
    gain: int
    why: str
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None


@dataclass(frozen=True, slots=True)
class PairedPage:
    """What the page shows.

    Attributes:
        bundles: folder and key of A and B.
        data, made: data set, date and time.
        conclusion: one paragraph; `better` is "A", "B" or None.
        caution: a sentence, or None.
        rows: name -> (both right, only A, only B, neither, p-value of McNemar).
        promises: of both thresholds.
        changed: pictures with different verdicts.
        unjudged: (path, reason) of pictures that one could not judge.
        versions: program to version.
    """

    bundles: tuple[str, str]
    data: str
    made: str
    conclusion: str
    better: str | None
    caution: str | None
    rows: Mapping[str, tuple[int, int, int, int, float]]
    promises: tuple[str, str]
    changed: Sequence[Changed]
    unjudged: Sequence[tuple[str, str]]
    versions: Mapping[str, str]


def write_paired(path: Path, page: PairedPage) -> None:
    """Write the page as one HTML file under 10 MB, whole or not at all. Raises ResourceError."""
    ordered = sorted(page.changed, key=lambda one: (-abs(one.gain), one.gain, one.path))[:MOST_LISTED]
    shown = [(one, [data_uri(picture, ROOM) for picture in one.pictures or ()]) for one in ordered]
    text = environment().get_template("paired.html.j2").render(page=page, changed=shown, left=len(page.changed))
    write_text(path, text)
