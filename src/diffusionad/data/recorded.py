"""Which recording a picture comes from: by a table, its folder, or the day it was taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from diffusionad.data.pictures import recording_day
from diffusionad.errors import DataError, UsageError

if TYPE_CHECKING:
    from diffusionad.structures import Sample

__all__ = ["By", "day_in", "labels"]

By = Literal["session", "camera", "product", "folder", "date"]

_DAY = re.compile(r"(?<!\d)(20\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d{1,5}(?!\d))")


def labels(samples: Sequence[Sample], by: str) -> list[str]:
    """The name of the part that each sample belongs to.

    session   the manifest's column; else the folder, where there are several; else the day, where every picture has one
    camera    the manifest's column; else the folder
    product   the category, where there are several; else the folder
    folder    the folder that holds the picture
    date      the day of recording: EXIF, else a date such as 2026-11-22 in the file's name

    Raises:
        UsageError: `by` is none of these.
        DataError: a picture without a camera or a day where others, or all, need one.
    """
    if by not in get_args(By):
        raise UsageError(f'Pictures are not told apart by "{by}"; the known ways are {", ".join(get_args(By))}.')
    folders = [sample.path.parent.name for sample in samples]
    if by == "session":
        return _sessions(samples, folders)
    if by == "camera" and any(sample.camera for sample in samples):
        return [_needed(sample.path, sample.camera, "camera") for sample in samples]
    if by == "product" and len({sample.category for sample in samples}) > 1:
        return [sample.category for sample in samples]
    if by == "date":
        return [_needed(sample.path, _day(sample.path), "day of recording") for sample in samples]
    return folders


def day_in(name: str) -> date | None:
    """A date such as 20261122 or 2026-11-22 in a file's name, also when a time follows; None without one."""
    for year, _, month, day in _DAY.findall(name):
        try:
            return date(int(year), int(month), int(day))
        except ValueError:
            continue
    return None


def _sessions(samples: Sequence[Sample], folders: list[str]) -> list[str]:
    if any(sample.session for sample in samples):
        return [sample.session or "no name" for sample in samples]
    if len(set(folders)) > 1:
        return folders
    days = []
    for sample in samples:
        day = _day(sample.path)
        if day is None:
            return folders
        days.append(day)
    return days


def _day(path: Path) -> str | None:
    day = recording_day(path) or day_in(path.name)
    return day.isoformat() if day else None


def _needed(path: Path, name: str | None, what: str) -> str:
    if name is None:
        raise DataError(f"{str(path)!r} has no {what}: name it in a manifest, or use --by folder.", code="data.labels")
    return name
