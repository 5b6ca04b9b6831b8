"""Looking into folders: names in any case, in the same order on every machine, never out of the data set."""

from __future__ import annotations

import logging
from pathlib import Path

from diffusionad.data.finding import pictures_under
from diffusionad.errors import DataError

__all__ = ["child", "contents", "entries", "folders", "pictures_by_stem", "pictures_in"]

_log = logging.getLogger(__name__)

_SHOWN_ENTRIES = 8


def folders(folder: Path, root: Path) -> list[Path]:
    """Visible sub-folders in order of name; a link that leads out of `root` is passed over."""
    found = []
    for entry in entries(folder):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        if entry.is_symlink() and not entry.resolve().is_relative_to(root.resolve()):
            _log.warning("%r leads out of %r and was passed over.", str(entry), str(root))
            continue
        found.append(entry)
    return found


def child(folder: Path | None, name: str, root: Path) -> Path | None:
    """The sub-folder called `name` in any case, the exact one first; None where there is none, or no folder."""
    if folder is None:
        return None
    found = [entry for entry in folders(folder, root) if entry.name.casefold() == name.casefold()]
    return next((entry for entry in found if entry.name == name), found[0] if found else None)


def entries(folder: Path) -> list[Path]:
    """Everything in a folder, sorted by path.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"The folder {str(folder)!r} cannot be read ({error.strerror}); check its permissions."
        ) from error


def contents(folder: Path) -> str:
    """What lies in a folder, for messages: the first names in quotes, and how many more."""
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries(folder)]
    shown = ", ".join(repr(name) for name in names[:_SHOWN_ENTRIES])
    return (shown or "nothing") + (f" and {len(names) - _SHOWN_ENTRIES} more" if len(names) > _SHOWN_ENTRIES else "")


def pictures_in(folder: Path | None, root: Path) -> list[Path]:
    """The pictures that lie in `folder` itself, sorted by path; none where there is no folder."""
    return [path for path in pictures_under(folder, root) if path.parent == folder] if folder else []


def pictures_by_stem(folder: Path | None, root: Path) -> dict[str, Path]:
    """Pictures by their path inside `folder`, without the ending; none where there is no folder."""
    if folder is None:
        return {}
    return {str(path.relative_to(folder).with_suffix("")): path for path in pictures_under(folder, root)}
