"""How the published data sets lie on disk. Each layout is two functions: its categories, and the samples of one.

Categories map a name to the folder it is found in; an empty mapping says that the folder is not in this layout.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from diffusionad.data.finding import pictures_under
from diffusionad.data.pictures import read_picture
from diffusionad.data.trees import child, contents, folders, masks_by_stem
from diffusionad.errors import DataError, LayoutError, PictureError
from diffusionad.structures import GOOD, Sample

__all__ = [
    "dagm",
    "dagm_samples",
    "kolektor",
    "kolektor_samples",
    "split_tree",
    "split_tree_samples",
    "visa",
    "visa_samples",
]

Categories = Callable[[Path], dict[str, Path]]
Samples = Callable[[Path, str, Path], Iterator[Sample]]
"""(folder of the category, its name, root) -> samples."""

_TABLE = PurePosixPath("split_csv", "1cls.csv")
_COLUMNS = ("object", "split", "label", "image", "mask")


def split_tree(good: str) -> Categories:
    """Folders that hold train/<good> as their own child: the root itself, or else its children."""

    def categories(root: Path) -> dict[str, Path]:
        if _train_good(root, good, root) is not None:
            return {root.resolve().name: root}
        return {folder.name: folder for folder in folders(root, root) if _train_good(folder, good, root) is not None}

    return categories


def split_tree_samples(good: str) -> Samples:
    """train/<good>, test/<good>, test/<defect>, masks in ground_truth/<defect>/<stem>_mask.* or <stem>.*"""

    def samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
        learned, test, truth = (
            _train_good(folder, good, root),
            child(folder, "test", root),
            child(folder, "ground_truth", root),
        )
        for path in pictures_under(learned, root) if learned else ():
            yield Sample(path, "train", category, GOOD)
        for kind in folders(test, root) if test else ():
            defect = GOOD if kind.name.casefold() == good else kind.name
            masks = {} if defect == GOOD or truth is None else masks_by_stem(child(truth, kind.name, root), root)
            for path in pictures_under(kind, root):
                stem = str(path.relative_to(kind).with_suffix(""))
                yield Sample(path, "test", category, defect, masks.get(f"{stem}_mask", masks.get(stem)))

    return samples


def visa(root: Path) -> dict[str, Path]:
    """The objects that split_csv/1cls.csv names; none where there is no such table."""
    return {row["object"]: root for row in _visa_rows(root)} if (root / _TABLE).is_file() else {}


def visa_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """Rows of the table; paths in it are relative to `root`."""
    for row in _visa_rows(root):
        if row["object"] == category:
            is_good = row["label"] == "normal"
            mask = None if is_good or not row["mask"] else _inside(root, row["mask"])
            split: Literal["train", "test"] = "train" if row["split"] == "train" else "test"
            if is_good or split == "test":
                yield Sample(_inside(root, row["image"]), split, category, GOOD if is_good else "anomaly", mask)


def dagm(root: Path) -> dict[str, Path]:
    """Folders with Train and Test, pictures right inside them, and Label beside those."""
    if _is_dagm(root, root):
        return {root.resolve().name: root}
    return {folder.name: folder for folder in folders(root, root) if _is_dagm(folder, root)}


def dagm_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """Pictures with a mask in Label are defective; those in Train are left out: nothing learns from them."""
    for split in ("train", "test"):
        inside = child(folder, split, root)
        if inside is None:
            continue
        masks = masks_by_stem(child(inside, "label", root), root)
        for path in pictures_under(inside, root, deep=False):
            mask = masks.get(f"{path.stem}_label")
            if mask is None:
                yield Sample(path, "train" if split == "train" else "test", category, GOOD)
            elif split == "test":
                yield Sample(path, "test", category, "defect", mask)


def kolektor(root: Path) -> dict[str, Path]:
    """KolektorSDD: folders kosNN with Part*_label.bmp. KolektorSDD2: train and test with *_GT.png."""
    return {root.resolve().name: root} if _items(root) or _has_truth(root) else {}


def kolektor_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    """Every picture has a mask; an empty one says good. Masks are read to know.

    KolektorSDD has no split: good pictures of the first half of the items train, by name; all others test.
    In KolektorSDD2 the defective pictures of train are left out: nothing learns from them.
    """
    items = _items(folder)
    for place, item in enumerate(items):
        yield from _labelled(item, "_label", place < (len(items) + 1) // 2, category, root, keep_defective=True)
    for split in () if items else ("train", "test"):
        inside = child(folder, split, root)
        if inside is not None:
            yield from _labelled(inside, "_GT", split == "train", category, root, keep_defective=split == "test")


def _labelled(
    folder: Path, ending: str, learned: bool, category: str, root: Path, *, keep_defective: bool
) -> Iterator[Sample]:
    """Pictures of `folder` with the masks <stem><ending>.* beside them."""
    found = {path.stem: path for path in pictures_under(folder, root, deep=False)}
    for stem, path in found.items():
        mask = found.get(f"{stem}{ending}")
        if stem.endswith(ending):
            continue
        if mask is None:
            raise DataError(
                f"{str(path)!r} has no mask {stem + ending!r} beside it, so nobody knows whether it is good."
            )
        if _is_empty(mask):
            yield Sample(path, "train" if learned else "test", category, GOOD)
        elif keep_defective:
            yield Sample(path, "test", category, "defect", mask)


def _is_empty(mask: Path) -> bool:
    try:
        return not read_picture(mask).any()
    except PictureError as error:
        raise DataError(f"A mask cannot be read. {error}", code="data.mask") from error


def _train_good(folder: Path, good: str, root: Path) -> Path | None:
    train = child(folder, "train", root)
    return None if train is None else child(train, good, root)


def _is_dagm(folder: Path, root: Path) -> bool:
    inside = [child(folder, split, root) for split in ("train", "test")]
    return all(inside) and any(child(part, "label", root) for part in inside if part is not None)


def _items(root: Path) -> list[Path]:
    return [
        folder
        for folder in folders(root, root)
        if re.fullmatch(r"kos\d+", folder.name, re.IGNORECASE)
        and any(path.stem.endswith("_label") for path in pictures_under(folder, root, deep=False))
    ]


def _has_truth(root: Path) -> bool:
    inside = (child(root, split, root) for split in ("train", "test"))
    return any(path.stem.endswith("_GT") for part in inside if part for path in pictures_under(part, root, deep=False))


def _visa_rows(root: Path) -> list[dict[str, str]]:
    table = root / _TABLE
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
                raise LayoutError(f"{str(table)!r} lacks the columns {', '.join(sorted(missing))}.")
            rows = [{name: (row[name] or "").strip() for name in _COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{str(table)!r} cannot be read: {error}.") from error
    for number, row in enumerate(rows, 2):
        if row["split"] not in ("train", "test") or row["label"] not in ("normal", "anomaly") or not row["image"]:
            raise DataError(
                f"Line {number} of {str(table)!r} is not train or test, normal or anomaly, with an image: {row}."
            )
    return rows


def _inside(root: Path, written: str) -> Path:
    """A path of a table, which must stay inside the data set."""
    path = root / written
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{written!r} leads out of the data set {str(root)!r}.")
    if not path.is_file():
        raise DataError(f"{written!r} is named by a table and missing; {str(root)!r} holds {contents(root)}.")
    return path
