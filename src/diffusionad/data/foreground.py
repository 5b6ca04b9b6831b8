"""Where the object is in good pictures: synthetic defects belong on it, not on the table beside it.

    auto          looks at the pictures and takes one of the three below it
      object        a plain background, and what stands out from it in each picture
      aligned       the same place in every picture: one mask for all; without a plain background, the whole picture
      texture       what is left: defects are planted in a random part of each picture, as the paper does it
    statistics    object, even where it is aligned; an error without a plain background
    grabcut       the same, each outline refined by OpenCV's GrabCut
    model FILE    a salient-object network (`salient.py`)
    whole         everything
    texture       as auto's, without looking
    FOLDER        masks that the user drew

In doubt it is a texture: a defect painted on background costs less than a part never painted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.data.background import PlainBackground, in_place_of_implausible, learn_background, white_of
from diffusionad.data.finding import pictures_under
from diffusionad.data.fit import Framing
from diffusionad.data.grabcut import cut_out
from diffusionad.data.masks import read_mask
from diffusionad.data.pictures import picture_size
from diffusionad.data.salient import SalientNetwork
from diffusionad.errors import DataError, PictureError, TooFewPicturesError, UsageError

if TYPE_CHECKING:
    from diffusionad.data.fit import Fit
    from diffusionad.structures import BoolMap, FloatMap, Picture, Sample

__all__ = ["Foregrounds", "find_foregrounds", "foreground_from_folder"]

_LOOKED_AT = 48  # pictures, evenly spaced: more move nothing
_SAME_PLACE = 0.95  # intersection over union with the mean mask from which an object is aligned
_SAME_PICTURE = 0.5  # correlation with the mean picture, broad light taken out, from which pictures are aligned


@dataclass(frozen=True, slots=True, eq=False)
class Foregrounds:
    """Where the object is in each picture.

    Attributes:
        kind: "object", "aligned", "texture", "statistics", "grabcut", "model", "whole" or "folder".
        reason: a clause that says why, for people.
        masks: [H, W] bool each, never empty; None where defects go into a random part, as for textures.
    """

    kind: str
    reason: str
    masks: list[BoolMap | None] = field(repr=False)


def find_foregrounds(
    rule: str, pictures: Sequence[Picture], samples: Sequence[Sample] = (), fit: Fit = "stretch"
) -> Foregrounds:
    """Foregrounds of good pictures, all [H, W, C] of one size, by a rule of this module's list.

    Args:
        rule: auto, statistics, grabcut, "model FILE.onnx", whole, texture or a folder.
        pictures: at working size.
        samples: where they come from; for a folder of masks.
        fit: how they became the working size; for a folder of masks.

    Raises:
        TooFewPicturesError: no picture was given.
        UsageError: the pictures differ in size, or the network cannot be used.
        DataError: nothing was found where the rule asks for an object, or a drawn mask is amiss.
        ResourceError: an extra is missing.
    """
    if not pictures:
        raise TooFewPicturesError("No good picture was given to find the object in; at least one is needed.")
    if len({picture.shape for picture in pictures}) > 1:
        raise UsageError("The pictures to find the object in differ in size; resize them to the working size first.")
    size = (pictures[0].shape[0], pictures[0].shape[1])
    if rule == "whole":
        return Foregrounds("whole", "asked for", _everything(pictures))
    if rule == "texture":
        return Foregrounds("texture", "asked for", [None for _ in pictures])
    if rule == "auto":
        return _auto(pictures)
    if rule == "statistics":
        return _statistics(pictures)
    if rule == "grabcut":
        return _grabcut(pictures)
    if (network := _network(rule)) is not None:
        return _model(pictures, network)
    drawn = foreground_from_folder(Path(rule), samples, size, fit)
    return Foregrounds("folder", f"masks drawn in {rule}", list(drawn))


def _auto(pictures: Sequence[Picture]) -> Foregrounds:
    learned = _learn(pictures)
    if isinstance(learned, PlainBackground):
        masks, mean_mask = _masks(learned, pictures)
        alike = np.median([_overlap(mask, mean_mask) for mask in masks])
        where = f"plain background; the object covers {mean_mask.mean() if alike >= _SAME_PLACE else masks.mean():.0%}"
        if alike >= _SAME_PLACE:
            return Foregrounds("aligned", f"{where}, always at the same place", [mean_mask.copy() for _ in pictures])
        return Foregrounds("object", where, list(masks))
    likeness = _likeness(_some(pictures))
    if likeness >= _SAME_PICTURE:
        reason = f"{learned}, and all pictures show the same at the same place"
        return Foregrounds("aligned", reason, _everything(pictures))
    return Foregrounds("texture", learned, [None for _ in pictures])


def _everything(pictures: Sequence[Picture]) -> list[BoolMap | None]:
    return [np.ones((picture.shape[0], picture.shape[1]), dtype=np.bool_) for picture in pictures]


def _statistics(pictures: Sequence[Picture]) -> Foregrounds:
    learned = _learn(pictures)
    if isinstance(learned, str):
        raise DataError(
            f'The foreground "statistics" needs an object on a plain background, but {learned}; '
            "take texture, whole or a folder of masks."
        )
    masks, _ = _masks(learned, pictures)
    return Foregrounds("statistics", f"what differs from the border, {masks.mean():.0%} of the pictures", list(masks))


def _grabcut(pictures: Sequence[Picture]) -> Foregrounds:
    learned = _learn(pictures)
    starts = list(_masks(learned, pictures)[0]) if isinstance(learned, PlainBackground) else None
    masks = _filled_in(cut_out(pictures, starts), "grabcut")
    start = "the middle" if starts is None else "what differs from the border"
    return Foregrounds("grabcut", f"grown from {start}, {masks.mean():.0%} of the pictures", list(masks))


def _model(pictures: Sequence[Picture], path: Path) -> Foregrounds:
    network, white = SalientNetwork(path), white_of(pictures)
    masks = _filled_in(np.stack([network.mask_of(picture, white) for picture in pictures]), f"model {path}")
    return Foregrounds("model", f"{path.name} marks {masks.mean():.0%} of the pictures", list(masks))


def _network(rule: str) -> Path | None:
    """FILE of "model FILE"; a path that ends in .onnx is understood too."""
    if rule.startswith("model "):
        return Path(rule.removeprefix("model ").strip())
    return Path(rule) if rule.lower().endswith(".onnx") else None


def _filled_in(masks: BoolMap, rule: str) -> BoolMap:
    if not masks.any():
        raise DataError(f'The foreground "{rule}" found no object in any picture; take another foreground.')
    return in_place_of_implausible(masks)[0]


def _learn(pictures: Sequence[Picture]) -> PlainBackground | str:
    return learn_background(_some(pictures))


def _some(pictures: Sequence[Picture]) -> list[Picture]:
    return [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, _LOOKED_AT).astype(int))]


def _masks(learned: PlainBackground, pictures: Sequence[Picture]) -> tuple[BoolMap, BoolMap]:
    return in_place_of_implausible(np.stack([learned.mask_of(picture) for picture in pictures]))


def _overlap(one: BoolMap, other: BoolMap) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _likeness(pictures: Sequence[Picture]) -> float:
    """Median correlation of a picture's detail with the mean of the others', -1..1; 0 for textures and one picture."""
    from scipy import ndimage

    if len(pictures) < 2:
        return 0.0
    grey = np.stack([picture.mean(axis=2, dtype=np.float32) for picture in pictures])
    detail = grey - ndimage.uniform_filter(grey, (0, *(max(3, side // 8) for side in grey.shape[1:])))
    others: FloatMap = (detail.sum(axis=0) - detail) / (len(pictures) - 1)
    spread = np.sqrt(np.square(detail).sum(axis=(1, 2)) * np.square(others).sum(axis=(1, 2)))
    return float(np.median((detail * others).sum(axis=(1, 2)) / np.maximum(spread, 1e-6)))


def foreground_from_folder(
    directory: Path, samples: Sequence[Sample], size: tuple[int, int], fit: Fit = "stretch"
) -> list[BoolMap]:
    """Foregrounds drawn by the user, one file per picture with the picture's stem (or `<stem>_mask`).

    Args:
        directory: folder of the mask files, sub-folders included; non-zero is foreground.
        samples: the pictures; each mask has the size of its picture's file.
        size: (H, W) of the masks returned, the working size in pixels.
        fit: how pictures and masks become the working size.

    Returns:
        One [H, W] bool mask per sample, in their order.

    Raises:
        DataError: the folder or a mask is missing, a stem is there twice, a mask is empty or has another size.
    """
    if not directory.is_dir():
        raise DataError(f"The folder of foreground masks {str(directory)!r} does not exist; check the path.")
    files: dict[str, Path] = {}
    for path in pictures_under(directory, directory):
        if path.stem in files:
            raise DataError(f"Two foreground masks have one stem: {str(files[path.stem])!r} and {str(path)!r}.")
        files[path.stem] = path
    return [_drawn_mask(sample.path, files, directory, Framing(fit, size)) for sample in samples]


def _drawn_mask(picture: Path, files: dict[str, Path], directory: Path, framing: Framing) -> BoolMap:
    path = files.get(picture.stem, files.get(f"{picture.stem}_mask"))
    if path is None:
        raise DataError(
            f"{str(directory)!r} holds no foreground mask for {str(picture)!r}; add {picture.stem + '.png'!r} to it."
        )
    try:
        mask = read_mask(path, picture_size(picture), picture=picture)
    except PictureError as error:
        raise DataError(f"The picture of a foreground mask cannot be read. {error}") from error
    if not mask.any():
        raise DataError(f"The foreground mask {str(path)!r} is empty; draw the object in it or leave the masks out.")
    return framing.view((mask.shape[0], mask.shape[1])).mask(mask)
