"""A folder of real defects to learn from: kinds in sub-folders, or flat; masks beside them, for all, some or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffusionad.data.finding import pictures_under
from diffusionad.data.folders import child, folders, pictures_by_stem
from diffusionad.data.trees import GOOD_NAMES, MASK_NAMES, mask_of
from diffusionad.errors import DataError
from diffusionad.structures import Sample

__all__ = ["find_defects"]

_FLAT = "defect"  # the kind of pictures that lie in the root itself


def find_defects(root: Path) -> list[Sample]:
    """The defective pictures of a folder, sorted by path, each with its mask where it has one.

        <root>/*.png  or  <root>/<kind>/**                     defective pictures
        <root>/<ground_truth, mask, masks>/[<kind>/]*          masks: <stem>.png, <stem>_mask.png or <stem>_label.png

    Samples have the split "train". Masks without a kind count for pictures in the root, or for the only kind.

    Raises:
        DataError: no folder, no picture in it, or a folder called good, ok or normal.
    """
    if not root.is_dir():
        raise DataError(f"The folder of defects {str(root)!r} does not exist; give a folder of defective pictures.")
    inside = folders(root, root)
    if good := [folder.name for folder in inside if folder.name.casefold() in GOOD_NAMES]:
        raise DataError(
            f"{str(root)!r} holds the folder {good[0]!r}: everything in a folder of defects is learned as defective. "
            "Move it elsewhere."
        )
    samples = sorted(_samples(root, inside), key=lambda sample: sample.path)
    if not samples:
        raise DataError(f"No picture was found in the folder of defects {str(root)!r}.")
    return samples


def _samples(root: Path, inside: list[Path]) -> Iterator[Sample]:
    truths = [folder for folder in inside if folder.name.casefold() in MASK_NAMES]
    kinds = [folder for folder in inside if folder not in truths]
    for path in pictures_under(root, root):
        parts = path.relative_to(root).parts
        if parts[0].casefold() in MASK_NAMES and len(parts) > 1:
            continue
        kind = root / parts[0] if len(parts) > 1 else root
        masks: dict[str, Path] = {}
        for truth in truths:
            own = child(truth, kind.name, root) if kind != root else None
            if own or kind == root or len(kinds) == 1:
                masks |= pictures_by_stem(own or truth, root)
        name = _FLAT if kind == root else kind.name
        yield Sample(path, "train", root.resolve().name, name, mask_of(path, kind, masks))
