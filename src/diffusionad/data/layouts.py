"""How folders of pictures become samples. A layout is a row of `_LAYOUTS`; a further one is a further row.

Names of the folders that make a layout (`train`, `test`, `good` ...) are found in any case. Passed over everywhere:
hidden files, files that are not named like pictures (Thumbs.db), links to files outside the folder, links to folders.

Licences of the sets that come in these layouts; their own pages count (`known.DATA_SETS` has the addresses):

    mvtec       MVTec AD: CC BY-NC-SA 4.0. MPDD: CC BY-NC-SA 4.0, check there
    visa        VisA: CC BY 4.0
    dagm        DAGM 2007: a CDLA-Sharing kind of licence, check there
    btad        BTAD: CC BY-NC-SA 4.0
    kolektor    KolektorSDD: CC BY-NC-SA 4.0. KolektorSDD2: CC BY-NC-SA 4.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffusionad.data import manifest, trees
from diffusionad.data.folders import contents
from diffusionad.errors import DataError, LayoutError, UsageError
from diffusionad.structures import Sample

__all__ = ["Reading", "describe_layouts", "find_samples", "layout_trees", "recognise"]

_SHOWN_CATEGORIES = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """How a data set is read.

    Attributes:
        layout: name of the layout.
        why: what was found that tells, as half a sentence: "train/good is there".
        categories: product classes, sorted; one at least.
    """

    layout: str
    why: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """One row.

    Attributes:
        name, tree: what it is called, and what it looks like.
        sign: what tells it.
        categories: (root) -> the place of each product class; none where the layout does not fit.
        samples: (place, category, root) -> the samples of one.
    """

    name: str
    tree: str
    sign: str
    categories: Callable[[Path], dict[str, Path]]
    samples: Callable[[Path, str, Path], Iterable[Sample]]


def find_samples(root: Path, layout: str = "auto", category: str | None = None) -> list[Sample]:
    """List the pictures of a data set, sorted by path. Only label pictures of the layout kolektor are opened.

    Args:
        root: the data set's folder, or a manifest.
        layout: a name from `describe_layouts`, or "auto" for the one that fits.
        category: which product, where the folder holds several.

    Raises:
        DataError: the folder is missing or holds no good picture to learn from; a manifest may do without.
        LayoutError: the folders do not look like the layout, look like two, or hold several categories and none was
            chosen.
        UsageError: an unknown layout or category; the message names the known ones.
    """
    row = _choose(root, layout)
    places = row.categories(root)
    if category is None and len(places) > 1:
        raise LayoutError(
            f"{str(root)!r} holds {len(places)} categories; choose one of {', '.join(sorted(places))}. "
            "`train` and `evaluate` also take --category all."
        )
    name = next(iter(places)) if category is None else category
    if name not in places:
        raise UsageError(
            f"There is no category {name!r} in {str(root)!r}; the known ones are {', '.join(sorted(places))}."
        )
    samples = sorted(row.samples(places[name], name, root), key=lambda sample: sample.path)
    if root.is_dir() and not any(sample.split == "train" and sample.is_good for sample in samples):
        raise DataError(
            f"No good picture to learn from was found in {str(root)!r}, which holds {contents(root)}; "
            f"expected:\n{row.tree}"
        )
    return samples


def recognise(root: Path, layout: str = "auto") -> Reading:
    """Tell the layout of a data set, why it is that one, and its categories. Raises as `find_samples`."""
    row = _choose(root, layout)
    places = row.categories(root)
    names = sorted(places)
    if layout != "auto":
        why = "as asked for"
    elif len(names) == 1 and next(iter(places.values())) == root:
        why = row.sign
    else:
        more = f" and {len(names) - _SHOWN_CATEGORIES} more" if len(names) > _SHOWN_CATEGORIES else ""
        why = f"{row.sign}, in {', '.join(map(repr, names[:_SHOWN_CATEGORIES]))}{more}"
    return Reading(row.name, why, tuple(names))


def describe_layouts() -> str:
    """The known layouts as text for help: the name, then the tree of folders."""
    return "\n\n".join(f"{name}\n{tree}" for name, tree in layout_trees().items())


def layout_trees() -> dict[str, str]:
    """Name -> tree of folders, in the order in which they are tried."""
    return {row.name: row.tree for row in _LAYOUTS}


def _choose(root: Path, layout: str) -> _Layout:
    """The row asked for, when it fits, or the one that fits."""
    known = {row.name: row for row in _LAYOUTS}
    if layout != "auto" and layout not in known:
        raise UsageError(f"There is no layout {layout!r}; the known ones are auto, {', '.join(sorted(known))}.")
    if not root.is_dir() and not manifest.is_manifest(root):
        state = "is a file, not a folder and not a manifest (.csv, .jsonl)" if root.exists() else "does not exist"
        raise DataError(f"The data set {str(root)!r} {state}; give the folder that holds the pictures.")
    asked = _LAYOUTS if layout == "auto" else (known[layout],)
    rows = [row for row in asked if _fits(row, root)]
    if not rows:
        fitting = [] if layout == "auto" else [row for row in _LAYOUTS if _fits(row, root)]
        hint = f"\nIt looks like {fitting[0].name}: {fitting[0].sign}." if fitting else ""
        found = contents(root) if root.is_dir() else "no picture"
        raise LayoutError(
            f"{str(root)!r} holds {found}, which is not laid out as expected:\n"
            + "\n".join(row.tree for row in asked)
            + hint
        )
    return rows[0] if len(rows) == 1 else _only_reading(root, rows)


def _fits(row: _Layout, root: Path) -> bool:
    return root.is_dir() == (row.name != "manifest") and bool(row.categories(root))


def _only_reading(root: Path, rows: Sequence[_Layout]) -> _Layout:
    """The first of several rows that fit, when all read the same samples.

    `folder` reads whatever holds pictures: beside another row it counts only where a folder is called good.

    Raises:
        LayoutError: two rows read different samples; shows both.
    """
    rows = [row for row in rows if row.name != "folder" or trees.names_good(root)]
    if len(rows) == 1:
        return rows[0]
    readings = [
        {s for name, place in row.categories(root).items() for s in row.samples(place, name, root)} for row in rows
    ]
    for row, samples in zip(rows[1:], readings[1:], strict=True):
        if samples != readings[0]:
            shown = "\n".join(f"    {_shown(r, s)}" for r, s in ((rows[0], readings[0]), (row, samples)))
            raise LayoutError(
                f"{str(root)!r} can be read in two ways:\n{shown}\n"
                f"Say which one is meant: --layout {rows[0].name} or --layout {row.name}."
            )
    return rows[0]


def _shown(row: _Layout, samples: Iterable[Sample]) -> str:
    listed = list(samples)
    learned = sum(sample.split == "train" and sample.is_good for sample in listed)
    tested = [sample for sample in listed if sample.split == "test"]
    defective = sum(not sample.is_good for sample in tested)
    return (
        f"{row.name}, for {row.sign}: {learned} good pictures to learn from, {len(tested)} to measure on, "
        f"{defective} of them defective"
    )


_LAYOUTS = (
    _Layout(
        "mvtec",
        "    <root>/train/good/*                             good pictures to learn from\n"
        "    <root>/test/good/*, <root>/test/<defect>/*      pictures to measure on\n"
        "    <root>/ground_truth/<defect>/<stem>_mask.png    where the defect is; also <stem>.png,\n"
        "                                                    <stem>_label.png; may be missing\n"
        "    or <root>/<category>/ ... with this tree in each category; also VisA and DAGM when re-arranged so",
        "train/good is there",
        partial(trees.split_categories, good="good"),
        partial(trees.split_samples, good="good"),
    ),
    _Layout(
        "btad",
        "    <root>/<01, 02, 03>/train/ok/*                  good pictures to learn from\n"
        "    <root>/<01, 02, 03>/test/ok/*, test/ko/*        pictures to measure on\n"
        "    <root>/<01, 02, 03>/ground_truth/ko/<stem>.png  where the defect is; also .bmp\n"
        "    or this tree in <root> itself",
        "train/ok is there",
        partial(trees.split_categories, good="ok"),
        partial(trees.split_samples, good="ok"),
    ),
    _Layout(
        "visa",
        "    <root>/split_csv/1cls.csv                       object,split,label,image,mask; paths count from <root>\n"
        "    <root>/<category>/Data/Images/<Normal, Anomaly>/*.JPG\n"
        "    <root>/<category>/Data/Masks/Anomaly/*.png      class indices: all but 0 is defective",
        "split_csv/1cls.csv is there",
        manifest.visa_categories,
        manifest.visa_samples,
    ),
    _Layout(
        "dagm",
        "    <root>/<Class1 ... Class10>/Train/*.PNG         the good ones are learned from, the defective left out\n"
        "    <root>/<Class1 ... Class10>/Test/*.PNG          pictures to measure on\n"
        "    <root>/<Class>/<Train, Test>/Label/<stem>_label.PNG    only for defective pictures\n"
        "    or this tree in <root> itself",
        "Train or Test holds a folder Label",
        trees.dagm_categories,
        trees.dagm_samples,
    ),
    _Layout(
        "kolektor",
        "    <root>/kosNN/Part*.jpg, Part*_label.bmp         KolektorSDD: a label that is all zero means good. Good\n"
        "                                                    pictures of the first half of the items, by name, are\n"
        "                                                    learned from; all others are measured on\n"
        "    or <root>/<train, test>/<stem>.png, <stem>_GT.png    KolektorSDD2: of train, only the good are used",
        "pictures lie beside their _label or _GT pictures",
        trees.kolektor_categories,
        trees.kolektor_samples,
    ),
    _Layout(
        "manifest",
        "    <root> is a file .csv or .jsonl with a row a picture; only path must be there\n"
        "    path        counts from the manifest's folder\n"
        "    label       good, or the kind of defect; empty: good\n"
        "    mask        where the defect is\n"
        "    split       train or test; empty: train for good, test for others\n"
        "    category    product class; empty: the manifest's name\n"
        "    session     the recording it comes from",
        "it is a table of pictures",
        manifest.manifest_categories,
        manifest.manifest_samples,
    ),
    _Layout(
        "folder",
        "    <root>/**                                       good pictures, sub-folders included\n"
        "    <root>/<bad, defect, ng, scratch ...>/**        defective pictures, never learned from\n"
        "    or <root>/<good, ok, normal>/**                 good pictures; every other folder is then a defect,\n"
        "                                                    but for <good, ok, normal>_test/**: good, to measure on\n"
        "    <root>/<ground_truth, mask, masks>/<defect>/*   masks: <stem>.png or <stem>_mask.png; may be missing;\n"
        "                                                    with one folder of defects also without <defect>/",
        "no folder says train or test",
        trees.folder_categories,
        trees.folder_samples,
    ),
)
