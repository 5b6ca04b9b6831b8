"""How folders of pictures become samples. A layout is a row of `_LAYOUTS`; a further one is a further row.

Names of the folders that make a layout (`train`, `test`, `good` ...) are found in any case. Passed over everywhere:
hidden files, files that are not named like pictures (Thumbs.db), links to files outside the folder, links to folders.

Licences of the published sets, as far as their pages say; read there before use: MVTec AD, BTAD, KolektorSDD and
KolektorSDD2 are CC BY-NC-SA 4.0, VisA is CC BY 4.0, MPDD and DAGM 2007 state theirs where they are downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diffusionad.data.finding import pictures_under
from diffusionad.data.manifest import is_table, manifest_categories, manifest_samples
from diffusionad.data.published import (
    Categories,
    Samples,
    dagm,
    dagm_samples,
    kolektor,
    kolektor_samples,
    split_tree,
    split_tree_samples,
    visa,
    visa_samples,
)
from diffusionad.data.trees import child, contents, folders
from diffusionad.errors import DataError, LayoutError, UsageError
from diffusionad.structures import GOOD, Sample

__all__ = ["ALL", "DataSet", "Layout", "describe_layouts", "find_samples", "known_layouts", "recognise"]

ALL = "all"
"""Instead of a category: every one of them; no category may be called so."""

_GOOD_NAMES = frozenset({"good", "ok", "normal"})
_DEFECT_NAMES = frozenset(
    {"abnormal", "anomalies", "anomalous", "anomaly", "bad", "broken", "crack", "defect", "defective", "defects"}
    | {"fail", "faulty", "ng", "nok", "not_good", "reject", "rejects", "scratch"}
)


@dataclass(frozen=True, slots=True)
class Layout:
    """One row.

    Attributes:
        name: what `--layout` takes.
        sign: what it is recognised by.
        tree: what the folders look like.
        sets: published sets that come in it, where to get them and their licence; "" for none.
        categories: root -> folder of each category; empty where the root is not in this layout.
        samples: (folder of a category, its name, root) -> samples.
        last_resort: only when no other row fits.
        of_table: the root is a file.
    """

    name: str
    sign: str
    tree: str
    sets: str
    categories: Categories
    samples: Samples
    last_resort: bool = False
    of_table: bool = False


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder whose layout is known.

    Attributes:
        root: the folder, or the table of a manifest.
        layout: the row that it is read by.
        categories: their names, sorted.
    """

    root: Path
    layout: Layout
    categories: tuple[str, ...]

    def sentence(self) -> str:
        """Which layout, and why."""
        many = f", {len(self.categories)} categories" if len(self.categories) > 1 else ""
        return f"Layout {self.layout.name}: {self.layout.sign}{many}."


def recognise(root: Path, layout: str = "auto") -> DataSet:
    """Find out how a data set is laid out. No picture is opened, but for masks that say what is good.

    Args:
        root: the data set's folder, or a manifest (.csv, .jsonl).
        layout: a name from `known_layouts`, or "auto" for the one that fits.

    Raises:
        DataError: `root` is missing.
        LayoutError: the folders look like no known layout, or like two of them.
        UsageError: an unknown layout.
    """
    names = [row.name for row in _LAYOUTS]
    if layout != "auto" and layout not in names:
        raise UsageError(f"There is no layout {layout!r}; the known ones are auto, {', '.join(sorted(names))}.")
    if not root.is_dir() and not is_table(root):
        state = "is a file, not a folder or a manifest (.csv, .jsonl)" if root.exists() else "does not exist"
        raise DataError(f"The data set {str(root)!r} {state}; give the folder that holds the pictures.")
    asked = [row for row in _LAYOUTS if layout in ("auto", row.name)]
    found = [
        (row, categories) for row in asked if row.of_table == is_table(root) and (categories := row.categories(root))
    ]
    found = [pair for pair in found if not pair[0].last_resort] or found
    if not found:
        trees = "\n".join(row.tree for row in asked)
        raise LayoutError(f"{str(root)!r} holds {_held(root)}, which is not laid out as expected:\n{trees}")
    if len(found) > 1:
        readings = "\n".join(f"--layout {row.name}: {row.sign}\n{row.tree}" for row, _ in found)
        raise LayoutError(f"{str(root)!r} can be read in {len(found)} ways; choose one:\n{readings}")
    ((row, categories),) = found
    return DataSet(root, row, tuple(sorted(categories)))


def find_samples(root: Path, layout: str = "auto", category: str | None = None) -> list[Sample]:
    """List the pictures of a data set, sorted by path. No picture is opened, but for masks that say what is good.

    Args:
        root: the data set's folder, or a manifest.
        layout: a name from `known_layouts`, or "auto".
        category: which product, where the folder holds several.

    Raises:
        DataError: the folder is missing or holds no good picture to learn from.
        LayoutError: see `recognise`; or several categories and none was chosen.
        UsageError: an unknown layout or category; the message names the known ones.
    """
    data = recognise(root, layout)
    if category is None and len(data.categories) > 1:
        raise LayoutError(
            f"{str(root)!r} holds {len(data.categories)} categories; choose one of {', '.join(data.categories)}."
        )
    name = data.categories[0] if category is None else category
    if name not in data.categories:
        raise UsageError(
            f"There is no category {name!r} in {str(root)!r}; the known ones are {', '.join(data.categories)}."
        )
    row = data.layout
    samples = sorted(row.samples(row.categories(root)[name], name, root), key=lambda sample: sample.path)
    if not any(sample.split == "train" for sample in samples):
        raise DataError(
            f"No good picture to learn from was found in {str(root)!r}, which holds {_held(root)}; "
            f"expected:\n{row.tree}"
        )
    return samples


def known_layouts() -> tuple[Layout, ...]:
    """The rows, in the order in which they are tried."""
    return _LAYOUTS


def describe_layouts() -> str:
    """The known layouts as text for help: the name, then the tree of folders."""
    return "\n\n".join(f"{row.name}\n{row.tree}" for row in _LAYOUTS)


def _held(root: Path) -> str:
    return contents(root) if root.is_dir() else "no such row"


def _plain(root: Path) -> dict[str, Path]:
    """Never where folders are named as in a split data set: its test pictures would be learned as good."""
    looked_into = [root, *folders(root, root)]
    if any(child(folder, name, root) for folder in looked_into for name in ("train", "test", "ground_truth")):
        return {}
    return {root.resolve().name: root}


def _plain_samples(folder: Path, category: str, root: Path) -> Iterator[Sample]:
    good = [inside.name for inside in folders(folder, root) if inside.name.casefold() in _GOOD_NAMES]
    for path in pictures_under(folder, root):
        parents = path.relative_to(folder).parts[:-1]
        if good and not parents:
            raise LayoutError(
                f"{str(path)!r} lies beside the folder {good[0]!r}, so nobody knows whether it is good; "
                f"move it into {good[0]!r} or into a folder named after its defect."
            )
        yield _named(path, category, _defect_of(parents, good))


def _defect_of(parents: Iterable[str], good: list[str]) -> str:
    """The defect that a picture's folders name: beside good ones every other, else one named like a defect."""
    parents = list(parents)
    if good:
        return GOOD if parents[0] in good else parents[0]
    return next((part for part in parents if part.casefold() in _DEFECT_NAMES), GOOD)


def _named(path: Path, category: str, defect: str) -> Sample:
    return Sample(path, "train" if defect == GOOD else "test", category, defect)


_LAYOUTS = (
    Layout(
        "mvtec",
        "it holds train/good",
        "    <root>/train/good/*                             good pictures to learn from\n"
        "    <root>/test/good/*, <root>/test/<defect>/*      pictures to measure on\n"
        "    <root>/ground_truth/<defect>/<stem>_mask.png    where the defect is; also <stem>.png; may be missing\n"
        "    or <root>/<category>/ ... with this tree in each category",
        "MVTec AD (https://www.mvtec.com/company/research/datasets/mvtec-ad, CC BY-NC-SA 4.0), "
        "MPDD (https://github.com/stepanje/MPDD, licence stated there), re-arranged VisA and DAGM",
        split_tree(GOOD),
        split_tree_samples(GOOD),
    ),
    Layout(
        "visa",
        "it holds split_csv/1cls.csv",
        "    <root>/split_csv/1cls.csv                       columns object, split, label, image, mask\n"
        "    <root>/<object>/Data/Images/..., Masks/...      what the table names",
        "VisA (https://github.com/amazon-science/spot-diff, CC BY 4.0)",
        visa,
        visa_samples,
    ),
    Layout(
        "btad",
        "it holds train/ok",
        "    <root>/<01, 02, 03>/train/ok/*                  good pictures to learn from, bmp or png\n"
        "    <root>/<01, 02, 03>/test/ok/*, test/ko/*        pictures to measure on\n"
        "    <root>/<01, 02, 03>/ground_truth/ko/<stem>.*    where the defect is",
        "BTAD (http://avires.dimi.uniud.it/papers/btad/btad.zip, CC BY-NC-SA 4.0)",
        split_tree("ok"),
        split_tree_samples("ok"),
    ),
    Layout(
        "dagm",
        "it holds Train, Test and Label",
        "    <root>/Class1/Train/*, Test/*                   pictures; defective ones in Train are left out\n"
        "    <root>/Class1/Test/Label/<stem>_label.*         where the defect is; without it a picture is good",
        "DAGM 2007 (https://hci.iwr.uni-heidelberg.de/content/"
        "weakly-supervised-learning-industrial-optical-inspection, licence stated there)",
        dagm,
        dagm_samples,
    ),
    Layout(
        "kolektor",
        "it holds kosNN with _label masks, or train and test with _GT masks",
        "    <root>/kosNN/Part*.jpg, Part*_label.bmp         KolektorSDD: an empty mask says good\n"
        "    <root>/train/*.png, test/*.png, *_GT.png        KolektorSDD2: the same; defects in train are left out",
        "KolektorSDD, KolektorSDD2 (https://www.vicos.si/resources/, CC BY-NC-SA 4.0)",
        kolektor,
        kolektor_samples,
    ),
    Layout(
        "manifest",
        "it is a table of pictures",
        "    <table>.csv or .jsonl                           path, label, mask, split, category, session",
        "",
        manifest_categories,
        manifest_samples,
        of_table=True,
    ),
    Layout(
        "folder",
        "it is a plain folder of pictures",
        "    <root>/**                                       good pictures, sub-folders included\n"
        "    <root>/<bad, defect, ng, scratch ...>/**        defective pictures without masks, never learned from\n"
        "    or <root>/<good, ok, normal>/**                 good pictures; every other folder is then a defect",
        "",
        _plain,
        _plain_samples,
        last_resort=True,
    ),
)
