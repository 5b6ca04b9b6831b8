"""The findings as one offline HTML file with a contact sheet: pictures of each finding, and usual ones beside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from diffusionad.data import read_picture, resize
from diffusionad.doctor.examining import Examination
from diffusionad.doctor.findings import Finding
from diffusionad.doctor.looking import in_8_bits
from diffusionad.errors import PictureError
from diffusionad.files import write_text
from diffusionad.report.gallery import data_uri
from diffusionad.report.html import environment

__all__ = ["Shown", "render_findings", "write_findings"]

SIDE = 176
"""Longer side of a shown picture, in pixels."""
ROOM = 16_000
"""Most bytes of a shown picture; as base64 in the page it takes a third more."""
MOST = 150
"""Most pictures of findings in the page; with the usual ones 3.5 MB at worst."""
MOST_OF_ONE = 12
MOST_NAMES = 200
USUAL = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """A file in the page: its path, a remark that may be empty, and its picture as a data URI where it can be shown."""

    path: str
    remark: str
    picture: str | None


def write_findings(path: Path, examination: Examination, made: str) -> None:
    """Write the page as one HTML file of a few MB at most, whole or not at all.

    Args:
        path: the file; missing folders are made.
        examination: what was found.
        made: date and time to show.

    Raises:
        ResourceError: the file cannot be written.
    """
    write_text(path, render_findings(examination, made))


def render_findings(examination: Examination, made: str) -> str:
    """The HTML of the page. Arguments as `write_findings`; the shown pictures are read again."""
    budget = iter(range(MOST))
    usual = [
        Shown(name, "", picture)
        for name, picture in ((_name(path, examination.root), _picture(path)) for path in _usual(examination))
        if picture is not None
    ]
    cards = [(finding, list(_shown(finding, examination.root, budget))) for finding in examination.findings]
    return (
        environment("diffusionad.doctor")
        .get_template("doctor.html.j2")
        .render(examination=examination, made=made, cards=cards, usual=usual)
    )


def _shown(finding: Finding, root: Path, budget: Iterator[int]) -> Iterator[Shown]:
    """The first files of a finding; those that can be shown have pictures, as long as the page has room."""
    left = MOST_OF_ONE
    for path, (name, remark) in islice(zip(finding.paths, finding.rows(root), strict=True), MOST_NAMES):
        picture = None
        if left and next(budget, None) is not None:
            left -= 1
            picture = _picture(path)
        yield Shown(name, remark, picture)


def _picture(path: Path) -> str | None:
    """A file as a small data URI; None when it is no readable picture."""
    try:
        picture = read_picture(path)
    except PictureError:
        return None
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    small = resize(picture, (max(1, round(height * scale)), max(1, round(width * scale))))
    return data_uri(in_8_bits(small, int(picture.max())), ROOM)


def _usual(examination: Examination) -> list[Path]:
    """Good training pictures spread evenly over the set, without those of a finding that concerns only a few."""
    few = len(examination.seen.looks) // 4
    odd = {path for finding in examination.findings if len(finding.paths) <= few for path in finding.paths}
    paths = [look.sample.path for look in examination.seen.training if look.sample.path not in odd]
    return paths[:: max(1, -(-len(paths) // USUAL))]


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
