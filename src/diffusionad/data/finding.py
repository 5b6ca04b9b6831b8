"""From paths, folders and patterns to picture files, one after the other, in the same order on every machine."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffusionad.errors import UsageError

__all__ = ["find_pictures", "pictures_under"]

_log = logging.getLogger(__name__)

_ENDINGS = frozenset({".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def find_pictures(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Yield the picture files of files, folders (with sub-folders) and glob patterns, in the order given.

    A file named outright is yielded whatever its name; folders and patterns yield files named like pictures, sorted by
    path. Folders are read as the iterator goes, so memory stays that of the largest single folder.

    Raises:
        UsageError: at once, when a path does not exist or a pattern finds nothing.
    """
    for path in map(str, paths):
        if not os.path.lexists(path) and next(_matches(path), None) is None:
            raise UsageError(f"{path!r} does not exist; give a picture, a folder or a pattern such as 'line/*.png'.")
    return _each_picture([str(path) for path in paths])


def pictures_under(folder: Path, root: Path) -> Iterator[Path]:
    """Yield the files named like pictures in `folder` and below, sorted by path.

    Hidden entries, links to folders and links that lead out of `root` or nowhere are passed over; folders that may not
    be read are logged and passed over.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        _log.warning("The folder %r was passed over: %s.", str(folder), error.strerror)
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from pictures_under(path, root)
        elif path.suffix.lower() in _ENDINGS and _is_file_inside(path, root):
            yield path


def _each_picture(paths: list[str]) -> Iterator[Path]:
    for path in paths:
        if os.path.lexists(path):
            yield from _pictures_at(Path(path))
            continue
        for match in sorted(_matches(path)):
            if match.is_dir() or match.suffix.lower() in _ENDINGS:
                # "**" finds what lies in a folder by itself; going into the folder as well would double it.
                yield from () if match.is_dir() and "**" in path else _pictures_at(match)


def _matches(pattern: str) -> Iterator[Path]:
    return map(Path, glob.iglob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern


def _pictures_at(path: Path) -> Iterator[Path]:
    return pictures_under(path, path) if path.is_dir() else iter((path,))


def _is_file_inside(path: Path, root: Path) -> bool:
    if not path.is_symlink():
        return path.is_file()
    if path.is_file() and path.resolve().is_relative_to(root.resolve()):
        return True
    _log.warning("The link %r leads nowhere or out of %r and was passed over.", str(path), str(root))
    return False
