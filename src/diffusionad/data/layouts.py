"""How folders of pictures become samples. A layout is a row of `_LAYOUTS`; a further one is a further row.

Names of the folders that make a layout (`train`, `test`, `good` ...) are found in any case. Passed over everywhere:
hidden files, files that are not named like pictures (Thumbs.db), links to files outside the folder, links to folders.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diffusionad.data.finding import pictures_under
from diffusionad.errors import DataError, LayoutError, UsageError
from diffusionad.structures import GOOD, Sample

__all__ = ["describe_layouts", "find_samples"]

_log = logging.getLogger(__name__)

_GOOD_NAMES = frozenset({"good", "ok", "normal"})
_DEFECT_NAMES = frozenset(
    {"abnormal", "anomalies", "anomalous", "anomaly", "bad", "broken", "crack", "defect", "defective", "defects"}
    | {"fail", "faulty", "ng", "nok", "not_good", "reject", "rejects", "scratch"}
)
_SHOWN_ENTRIES = 8


@dataclass(frozen=True, slots=True)
class _Layout:
    """One row: what the folders look like, whether a folder looks so, and its samples (root, category)."""

    name: str
    tree: str
    fits: Callable[[Path], bool]
    find: Callable[[Path, str | None], Iterable[Sample]]


def find_samples(root: Path, layout: str = "auto", category: str | None = None) -> list[Sample]:
    """List the pictures of a data set, sorted by path. No picture is opened.

    Args:
        root: the data set's folder.
        layout: a name from `describe_layouts`, or "auto" for the first one that fits.
        category: which product, where the folder holds several.

    Raises:
        DataError: the folder is missing or holds no good picture to learn from.
        LayoutError: the folders do not look like the layout, or hold several categories and none was chosen.
        UsageError: an unknown layout or category; the message names the known ones.
    """
    known = {row.name: row for row in _LAYOUTS}
    if layout != "auto" and layout not in known:
        raise UsageError(f"There is no layout {layout!r}; the known ones are auto, {', '.join(sorted(known))}.")
    if not root.is_dir():
        state = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"The data set {str(root)!r} {state}; give the folder that holds the pictures.")
    rows = [known[layout]] if layout != "auto" else [row for row in _LAYOUTS if row.fits(root)]
    if not rows or not rows[0].fits(root):
        trees = "\n".join(row.tree for row in ([known[layout]] if layout != "auto" else _LAYOUTS))
        raise LayoutError(f"{str(root)!r} holds {_contents(root)}, which is not laid out as expected:\n{trees}")
    samples = sorted(rows[0].find(root, category), key=lambda sample: sample.path)
    if not any(sample.split == "train" for sample in samples):
        raise DataError(
            f"No good picture to learn from was found in {str(root)!r}, which holds {_contents(root)}; "
            f"expected:\n{rows[0].tree}"
        )
    return samples


def describe_layouts() -> str:
    """The known layouts as text for help: the name, then the tree of folders."""
    return "\n\n".join(f"{row.name}\n{row.tree}" for row in _LAYOUTS)


def _fits_mvtec(root: Path) -> bool:
    return bool(_categories(root))


def _find_mvtec(root: Path, category: str | None) -> Iterator[Sample]:
    categories = _categories(root)
    if category is None and len(categories) > 1:
        raise LayoutError(
            f"{str(root)!r} holds {len(categories)} categories; choose one of {', '.join(sorted(categories))}."
        )
    name = next(iter(categories)) if category is None else category
    _check_category(name, categories, root)
    yield from _category_samples(categories[name], name, root)


def _categories(root: Path) -> dict[str, Path]:
    """Folders that hold train/good as their own child: the root itself, or else its children."""
    if _train_good(root, root) is not None:
        return {root.resolve().name: root}
    return {folder.name: folder for folder in _folders(root, root) if _train_good(folder, root) is not None}


def _train_good(folder: Path, root: Path) -> Path | None:
    train = _child(folder, "train", root)
    return None if train is None else _child(train, GOOD, root)


def _category_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    good = _train_good(folder, root)
    test = _child(folder, "test", root)
    truth = _child(folder, "ground_truth", root)
    for path in pictures_under(good, root) if good else ():
        yield Sample(path, "train", category, GOOD)
    for kind in _folders(test, root) if test else ():
        defect = GOOD if kind.name.casefold() == GOOD else kind.name
        masks = {} if defect == GOOD or truth is None else _masks(_child(truth, kind.name, root), root)
        for path in pictures_under(kind, root):
            stem = str(path.relative_to(kind).with_suffix(""))
            yield Sample(path, "test", category, defect, masks.get(f"{stem}_mask", masks.get(stem)))


def _masks(folder: Path | None, root: Path) -> dict[str, Path]:
    """Mask files by their path inside the defect's folder, without the ending."""
    if folder is None:
        return {}
    return {str(path.relative_to(folder).with_suffix("")): path for path in pictures_under(folder, root)}


def _fits_folder(root: Path) -> bool:
    """Never where folders are named as in a split data set: its test pictures would be learned as good."""
    looked_into = [root, *_folders(root, root)]
    return not any(_child(folder, name, root) for folder in looked_into for name in ("train", "test", "ground_truth"))


def _find_folder(root: Path, category: str | None) -> Iterator[Sample]:
    name = root.resolve().name
    _check_category(name if category is None else category, {name: root}, root)
    good = [folder.name for folder in _folders(root, root) if folder.name.casefold() in _GOOD_NAMES]
    for path in pictures_under(root, root):
        parents = path.relative_to(root).parts[:-1]
        if good and not parents:
            raise LayoutError(
                f"{str(path)!r} lies beside the folder {good[0]!r}, so nobody knows whether it is good; "
                f"move it into {good[0]!r} or into a folder named after its defect."
            )
        if good:
            defect = None if parents[0] in good else parents[0]
        else:
            defect = next((part for part in parents if part.casefold() in _DEFECT_NAMES), None)
        yield Sample(path, "test" if defect else "train", name, defect or GOOD)


def _check_category(category: str, known: Iterable[str], root: Path) -> None:
    if category not in set(known):
        raise UsageError(
            f"There is no category {category!r} in {str(root)!r}; the known ones are {', '.join(sorted(known))}."
        )


def _folders(folder: Path, root: Path) -> list[Path]:
    """Visible sub-folders in order of name; a link that leads out of `root` is passed over."""
    found = []
    for entry in _entries(folder):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        if entry.is_symlink() and not entry.resolve().is_relative_to(root.resolve()):
            _log.warning("%r leads out of %r and was passed over.", str(entry), str(root))
            continue
        found.append(entry)
    return found


def _child(folder: Path, name: str, root: Path) -> Path | None:
    """The sub-folder called `name` in any case, the exact one first."""
    found = [entry for entry in _folders(folder, root) if entry.name.casefold() == name.casefold()]
    return next((entry for entry in found if entry.name == name), found[0] if found else None)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"The folder {str(folder)!r} cannot be read ({error.strerror}); check its permissions."
        ) from error


def _contents(folder: Path) -> str:
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in _entries(folder)]
    shown = ", ".join(repr(name) for name in names[:_SHOWN_ENTRIES])
    return (shown or "nothing") + (f" and {len(names) - _SHOWN_ENTRIES} more" if len(names) > _SHOWN_ENTRIES else "")


_LAYOUTS = (
    _Layout(
        "mvtec",
        "    <root>/train/good/*                             good pictures to learn from\n"
        "    <root>/test/good/*, <root>/test/<defect>/*      pictures to measure on\n"
        "    <root>/ground_truth/<defect>/<stem>_mask.png    where the defect is; also <stem>.png; may be missing\n"
        "    or <root>/<category>/ ... with this tree in each category",
        _fits_mvtec,
        _find_mvtec,
    ),
    _Layout(
        "folder",
        "    <root>/**                                       good pictures, sub-folders included\n"
        "    <root>/<bad, defect, ng, scratch ...>/**        defective pictures without masks, never learned from\n"
        "    or <root>/<good, ok, normal>/**                 good pictures; every other folder is then a defect",
        _fits_folder,
        _find_folder,
    ),
)
