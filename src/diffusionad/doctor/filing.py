"""Checks on files and their number: what cannot be read, leftovers of operating systems, one day only, too few."""

from __future__ import annotations

import itertools
import math
import os
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from diffusionad.calibration import MIN_FOR_PROMISE, pictures_needed
from diffusionad.config import DataSettings
from diffusionad.doctor.findings import Finding, Seen, counted

__all__ = ["FEWEST", "find_few", "find_leftovers", "find_one_session", "find_unreadable", "leftovers_under"]

FEWEST = 10
"""Good pictures below which nothing can be learned; `training.data` refuses fewer."""

_AGAIN = "Copy or record them again, or delete them."
_UNREADABLE = {
    "picture.truncated": ("damaged or cut off", _AGAIN),
    "picture.empty": ("empty (0 bytes)", _AGAIN),
    "picture.missing": ("missing", "Check the paths and links."),
    "picture.unreadable": ("not allowed to be read", "Check the permissions: ls -l shows them."),
    "picture.unknown_format": ("not in a picture format, whatever the name says", "Save them as PNG, or delete them."),
    "picture.too_large": ("too large", "Crop or shrink them."),
    "picture.too_small": ("under 8 pixels wide or high", "Record them larger, or delete them."),
    "picture.nonfinite": ("with values that are not numbers", "Save them as 8-bit or 16-bit grey."),
}
_UNSUPPORTED = ("in a variant that is not supported", "Save them as 8-bit RGB or 16-bit grey, one picture a file.")
_LEFTOVERS = frozenset({".ds_store", "desktop.ini", "ehthumbs.db", "thumbs.db"})
_ENOUGH_DATED = 10  # fewer dated pictures say nothing about sessions


def find_unreadable(seen: Seen) -> Iterator[Finding]:
    """Pictures that cannot be read whole, one finding for each reason."""
    for code, group in groupby(sorted(seen.unread, key=lambda item: item.code), key=lambda item: item.code):
        items = list(group)
        words, advice = _UNREADABLE.get(code, _UNSUPPORTED)
        good = sum(item.sample.is_good and item.sample.split == "train" for item in items)
        yield Finding(
            code,
            "broken",
            f"{counted(len(items))} {words}; in train: {good}.",
            advice,
            tuple(item.sample.path for item in items),
        )


def find_few(seen: Seen) -> Iterator[Finding]:
    """Too few good pictures to learn from, or to promise the share of false alarms that was asked for."""
    count = len(seen.training)
    if count < FEWEST:
        yield Finding(
            "count.unusable",
            "broken",
            f"{counted(count, 'readable good training picture', one='was', many='were')} found; "
            f"nothing can be learned from fewer than {FEWEST}.",
            f"Record at least {FEWEST} good pictures, better 100.",
        )
        return
    held, needed = _held_back(count), max(pictures_needed(seen.false_alarms), MIN_FOR_PROMISE)
    if held >= needed:
        return
    total = next(total for total in itertools.count(count) if _held_back(total) >= needed)
    asked = f"a share of false alarms of {seen.false_alarms:g}"
    possible = math.ceil(1000 / (held + 1)) / 1000
    promised = held >= MIN_FOR_PROMISE
    yield Finding(
        "count.promise",
        "risk",
        f"{count} good training pictures are too few to promise {asked}: training holds back {held} of them for the "
        f"threshold, the promise takes {needed}; "
        + (f"the best possible is {possible:g}." if promised else "nothing is promised."),
        f"Record {total - count} more good pictures, or calibrate afterwards with {needed} that never trained: "
        f"diffusionad calibrate BUNDLE MORE_GOOD --false-alarms {seen.false_alarms:g}"
        + (f"; or accept {possible:g}." if promised else ""),
    )


def _held_back(count: int) -> int:
    """Good pictures that training keeps for the threshold, by default; as `training.data` splits."""
    return max(1, round(count * DataSettings().calibration_share))


def find_one_session(seen: Seen) -> Iterator[Finding]:
    """All good training pictures were recorded on one day. Says nothing unless every day is known."""
    days = {look.taken for look in seen.training}
    if len(days) == 1 and None not in days and len(seen.training) >= _ENOUGH_DATED:
        day = next(iter(days))
        yield Finding(
            "session.one",
            "note",
            f"All {len(seen.training)} good training pictures were recorded on one day, {day}: the lamp, the lot and "
            "the camera of other days are unknown.",
            "Add good pictures of other days, shifts and lots.",
        )


def find_leftovers(seen: Seen) -> Iterator[Finding]:
    """Files that an operating system left behind."""
    if seen.hidden:
        where = shlex.quote(str(seen.root))
        yield Finding(
            "files.leftover",
            "note",
            f"{counted(len(seen.hidden), 'system file', one='lies', many='lie')} among the pictures; passed over.",
            f"find {where} '(' -iname thumbs.db -o -name .DS_Store -o -name '._*' -o -iname desktop.ini ')' -delete",
            tuple(seen.hidden),
        )


def leftovers_under(root: Path) -> list[Path]:
    """System files in a folder and below, sorted: Thumbs.db, .DS_Store, desktop.ini and ._*; no link is followed."""
    found = []
    for folder, _, names in os.walk(root):
        found += [Path(folder, name) for name in names if name.lower() in _LEFTOVERS or name.startswith("._")]
    return sorted(found)
