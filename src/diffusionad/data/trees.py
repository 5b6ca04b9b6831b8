"""Reading each known tree of folders: which product classes it holds, and the samples of one.

Two functions a tree. `<tree>_categories(root)` maps each product class to its folder and is empty where the tree is
another one. `<tree>_samples(folder, category, root)` yields the samples of one. Names are found in any case.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from diffusionad.data.finding import pictures_under
from diffusionad.data.folders import child, folders, pictures_by_stem, pictures_in
from diffusionad.data.masks import is_mask_empty
from diffusionad.errors import LayoutError
from diffusionad.structures import GOOD, Sample

__all__ = [
    "GOOD_NAMES",
    "MASK_NAMES",
    "dagm_categories",
    "dagm_samples",
    "folder_categories",
    "folder_samples",
    "kolektor_categories",
    "kolektor_samples",
    "mask_of",
    "names_good",
    "split_categories",
    "split_samples",
]

_log = logging.getLogger(__name__)

GOOD_NAMES = frozenset({"good", "ok", "normal"})
"""What good pictures are called, in small letters."""

_GOOD_TEST_NAMES = frozenset(f"{name}_test" for name in GOOD_NAMES)
_DEFECT_NAMES = frozenset(
    {"abnormal", "anomalies", "anomalous", "anomaly", "bad", "broken", "crack", "defect", "defective", "defects"}
    | {"fail", "faulty", "ng", "nok", "not_good", "reject", "rejects", "scratch"}
)
MASK_NAMES = frozenset({"ground_truth", "mask", "masks"})
"""What folders of masks are called, in small letters."""

_MASK_ENDINGS = ("_mask", "_label", "")  # in the order in which they are looked for
_DEFECT = "defect"  # where a tree does not say which kind
_ITEM = re.compile(r"kos\d+", re.IGNORECASE)


def split_categories(root: Path, good: str) -> dict[str, Path]:
    """Folders that hold train/<good> as their own child: the root itself, or else its children."""
    return _here_or_below(root, lambda folder: child(child(folder, "train", root), good, root) is not None)


def split_samples(folder: Path, category: str, root: Path, good: str) -> Iterator[Sample]:
    """train/<good>, test/<good>, test/<defect>, ground_truth/<defect>; other folders of train are left alone."""
    learned = child(child(folder, "train", root), good, root)
    test, truth = child(folder, "test", root), child(folder, "ground_truth", root)
    for path in pictures_under(learned, root) if learned else ():
        yield Sample(path, "train", category, GOOD)
    for kind in folders(test, root) if test else ():
        defect = GOOD if kind.name.casefold() in (good, GOOD) else kind.name
        masks = {} if defect == GOOD else pictures_by_stem(child(truth, kind.name, root), root)
        for path in pictures_under(kind, root):
            yield Sample(path, "test", category, defect, mask_of(path, kind, masks))


def dagm_categories(root: Path) -> dict[str, Path]:
    """Folders that hold Train and Test, one of them with a folder Label: the root itself, or else its children."""

    def fits(folder: Path) -> bool:
        train, test = child(folder, "train", root), child(folder, "test", root)
        return bool(train and test and (child(train, "label", root) or child(test, "label", root)))

    return _here_or_below(root, fits)


def dagm_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """A picture is defective when Label/<stem>_label exists. Defective training pictures are left out of both."""
    train, test = child(folder, "train", root), child(folder, "test", root)
    labelled = pictures_by_stem(child(train, "label", root), root)
    for path in pictures_in(train, root):
        if f"{path.stem}_label" not in labelled:
            yield Sample(path, "train", category, GOOD)
    labelled = pictures_by_stem(child(test, "label", root), root)
    for path in pictures_in(test, root):
        mask = labelled.get(f"{path.stem}_label")
        yield Sample(path, "test", category, _DEFECT if mask else GOOD, mask)


def kolektor_categories(root: Path) -> dict[str, Path]:
    """The root, when it holds kosNN folders with *_label pictures, or train or test folders with *_GT pictures."""
    items = any(_has_ending(item, "_label", root) for item in _items(root))
    split = any(_has_ending(child(root, name, root), "_gt", root) for name in ("train", "test"))
    return {root.resolve().name: root} if items or split else {}


def kolektor_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """Reads every label picture: one that is all zero means good.

    KolektorSDD2 says what trains; defective training pictures are left out. KolektorSDD does not: the good pictures of
    the first half of the items, by name, train; all others are test pictures.
    """
    for path, mask in _labelled(child(folder, "train", root), "_gt", root):
        if mask is None:
            yield Sample(path, "train", category, GOOD)
    for path, mask in _labelled(child(folder, "test", root), "_gt", root):
        yield Sample(path, "test", category, _DEFECT if mask else GOOD, mask)
    items = _items(folder)
    for number, item in enumerate(items):
        for path, mask in _labelled(item, "_label", root):
            learned = mask is None and 2 * number < len(items)
            yield Sample(path, "train" if learned else "test", category, _DEFECT if mask else GOOD, mask)


def names_good(root: Path) -> list[str]:
    """Sub-folders of `root` that are called good, ok or normal."""
    return [folder.name for folder in folders(root, root) if folder.name.casefold() in GOOD_NAMES]


def folder_categories(root: Path) -> dict[str, Path]:
    """The root; never where folders are named as in a split data set: its test pictures would be learned as good."""
    for folder in [root, *folders(root, root)]:
        if any(child(folder, name, root) for name in ("train", "test")):
            return {}
        if child(folder, "ground_truth", root) and not (folder == root and names_good(root)):
            return {}
    return {root.resolve().name: root}


def folder_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """Good pictures, and folders of defective ones; what lies under a folder of masks is never a sample.

    Raises:
        LayoutError: a picture lies beside a folder of good ones.
    """
    good = names_good(folder)
    masks = _masks_of_kinds(folder, good)
    for path in pictures_under(folder, root):
        parents = path.relative_to(folder).parts[:-1]
        if good and not parents:
            raise LayoutError(
                f"{str(path)!r} lies beside the folder {good[0]!r}, so nobody knows whether it is good; "
                f"move it into {good[0]!r} or into a folder named after its defect."
            )
        if any(part.casefold() in MASK_NAMES for part in parents):
            continue
        if good and parents[0].casefold() in GOOD_NAMES | _GOOD_TEST_NAMES:
            yield Sample(path, "train" if parents[0] in good else "test", category, GOOD)
            continue
        kind = next((part for part in parents if good or part.casefold() in _DEFECT_NAMES), None)
        mask = mask_of(path, folder / kind, masks.get(kind, {})) if kind and parents[0] == kind else None
        yield Sample(path, "test" if kind else "train", category, kind or GOOD, mask)


def _here_or_below(root: Path, fits: Callable[[Path], bool]) -> dict[str, Path]:
    if fits(root):
        return {root.resolve().name: root}
    return {folder.name: folder for folder in folders(root, root) if fits(folder)}


def mask_of(path: Path, kind: Path, masks: Mapping[str, Path]) -> Path | None:
    """The mask of a picture in the folder `kind`; `masks` as of `pictures_by_stem`."""
    stem = str(path.relative_to(kind).with_suffix(""))
    return next((masks[stem + ending] for ending in _MASK_ENDINGS if stem + ending in masks), None)


def _masks_of_kinds(root: Path, good: list[str]) -> dict[str, dict[str, Path]]:
    """For each folder of defective pictures, its masks: <masks>/<kind>/*, or <masks>/* where there is one kind only."""
    places = [folder for folder in folders(root, root) if folder.name.casefold() in MASK_NAMES]
    kinds = [
        folder
        for folder in folders(root, root)
        if folder not in places
        and folder.name.casefold() not in GOOD_NAMES | _GOOD_TEST_NAMES
        and (good or folder.name.casefold() in _DEFECT_NAMES)
    ]
    found: dict[str, dict[str, Path]] = {kind.name: {} for kind in kinds}
    for place in places:
        for kind in kinds:
            own = child(place, kind.name, root)
            if own or len(kinds) == 1:
                found[kind.name] |= pictures_by_stem(own or place, root)
    return found


def _items(root: Path) -> list[Path]:
    return [folder for folder in folders(root, root) if _ITEM.fullmatch(folder.name)]


def _has_ending(folder: Path | None, ending: str, root: Path) -> bool:
    return any(path.stem.casefold().endswith(ending) for path in pictures_in(folder, root))


def _labelled(folder: Path | None, ending: str, root: Path) -> Iterator[tuple[Path, Path | None]]:
    """Pictures of a folder, each with its label picture, or None when that is all zero. Without a label: left out."""
    pictures = pictures_in(folder, root)
    labels = {path.stem.casefold(): path for path in pictures if path.stem.casefold().endswith(ending)}
    for path in pictures:
        if path.stem.casefold() in labels:
            continue
        label = labels.get(path.stem.casefold() + ending)
        if label is None:
            _log.warning("%r has no label picture, so nobody knows whether it is good; it was left out.", str(path))
        else:
            yield path, None if is_mask_empty(label) else label
