"""Looking into folders: sub-folders by name in any case, masks by stem, and what a folder holds, in words."""

from __future__ import annotations

import logging
from pathlib import Path

from diffusionad.data.finding import pictures_under
from diffusionad.errors import DataError

__all__ = ["child", "contents", "folders", "masks_by_stem"]

_log = logging.getLogger(__name__)

_SHOWN_ENTRIES = 8


def folders(folder: Path, root: Path) -> list[Path]:
    """Visible sub-folders in order of name; a link that leads out of `root` is passed over.

    Raises:
        DataError: the folder may not be read.
    """
    found = []
    for entry in _entries(folder):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        if entry.is_symlink() and not entry.resolve().is_relative_to(root.resolve()):
            _log.warning("%r leads out of %r and was passed over.", str(entry), str(root))
            continue
        found.append(entry)
    return found


def child(folder: Path, name: str, root: Path) -> Path | None:
    """The sub-folder called `name` in any case, the exact one first."""
    found = [entry for entry in folders(folder, root) if entry.name.casefold() == name.casefold()]
    return next((entry for entry in found if entry.name == name), found[0] if found else None)


def masks_by_stem(folder: Path | None, root: Path) -> dict[str, Path]:
    """Mask files by their path inside the defect's folder, without the ending."""
    if folder is None:
        return {}
    return {str(path.relative_to(folder).with_suffix("")): path for path in pictures_under(folder, root)}


def contents(folder: Path) -> str:
    """The first few entries, for messages."""
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in _entries(folder)]
    shown = ", ".join(repr(name) for name in names[:_SHOWN_ENTRIES])
    return (shown or "nothing") + (f" and {len(names) - _SHOWN_ENTRIES} more" if len(names) > _SHOWN_ENTRIES else "")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"The folder {str(folder)!r} cannot be read ({error.strerror}); check its permissions."
        ) from error
