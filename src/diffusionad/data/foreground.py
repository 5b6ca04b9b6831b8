"""Where the object is, learned from good pictures: synthetic defects belong on it, not on the table beside it.

Auto rule. The ring along the border is background when it has one colour within a picture and across pictures and the
centre has another; then pixels unlike that colour are the object. Otherwise the pictures are a texture and all of each
picture is foreground. In doubt it is a texture: a defect painted on background costs less than a part never painted on.

scipy (extra `train`) is imported inside the functions, for inference never needs this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from diffusionad.data.finding import pictures_under
from diffusionad.data.fit import Framing
from diffusionad.data.masks import read_mask
from diffusionad.data.pictures import picture_size
from diffusionad.errors import DataError, PictureError, TooFewPicturesError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.data.fit import Fit
    from diffusionad.structures import BoolMap, FloatMap, Picture, Sample

__all__ = ["Foreground", "find_foreground", "foreground_from_folder", "whole_foreground"]

_LOOKED_AT = 48  # pictures, evenly spaced: more move nothing
_RING = 0.04  # width of the border ring, share of the shorter side
_SAME_COLOUR = 0.1  # colour distance 0..1 within which light and noise move one colour
_FLOOR = 0.05  # smallest colour distance that is not background
_AREAS = (0.02, 0.95)  # share of the picture an object takes
_AREA_FACTOR = 1.75  # a mask this many times larger or smaller than the median is implausible


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """Where the object is in pictures of one kind and size.

    Attributes:
        kind: "object" on a plain background, or "texture" that fills the picture.
        mean_mask: [H, W] bool, where the object is in most pictures; all True for a texture.
        area: median share of the picture that is foreground, 0..1.
        background: its colour, a value a channel as a share of `white`; unused for a texture.
        distance: colour distance, as a share of `white`, from which a pixel is no longer background.
        white: the value that counts as 1: 255, or the brightest value seen in 16-bit pictures.
    """

    kind: Literal["object", "texture"]
    mean_mask: BoolMap = field(repr=False)
    area: float = 1.0
    background: tuple[float, ...] = (0.0, 0.0, 0.0)
    distance: float = 1.0
    white: float = 255.0

    def mask_of(self, picture: Picture) -> BoolMap:
        """Foreground of one picture, [H, W] bool, never empty; `mean_mask` where the picture's own is implausible.

        Raises:
            UsageError: `picture` has another height or width than the pictures learned from.
        """
        if picture.shape[:2] != self.mean_mask.shape:
            raise UsageError(
                f"The foreground was learned at {self.mean_mask.shape} (H, W) and cannot judge {picture.shape[:2]}."
            )
        if self.kind == "texture":
            return self.mean_mask.copy()
        colours = _colours(picture, self.white)
        own = _segment(colours, np.array(self.background, dtype=np.float32), self.distance)
        return own if _is_plausible(float(own.mean()), self.area) else self.mean_mask.copy()


def whole_foreground(size: tuple[int, int]) -> Foreground:
    """Everything is foreground. `size` is (H, W) in pixels."""
    return Foreground("texture", np.ones(size, dtype=np.bool_))


def find_foreground(pictures: Sequence[Picture]) -> Foreground:
    """Decide from good pictures, all [H, W, C] of one size, whether they show an object, and learn its background.

    Raises:
        TooFewPicturesError: no picture was given.
        UsageError: the pictures differ in size.
    """
    if not pictures:
        raise TooFewPicturesError("No good picture was given to find the object in; at least one is needed.")
    if len({picture.shape for picture in pictures}) > 1:
        raise UsageError("The pictures to find the object in differ in size; resize them to the working size first.")
    chosen = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, _LOOKED_AT).astype(int))]
    texture = whole_foreground(chosen[0].shape[:2])
    white = 255.0 if chosen[0].dtype == np.uint8 else float(max(1, *(int(picture.max()) for picture in chosen)))
    looked_at = [_colours(picture, white) for picture in chosen]
    found = _background_of(looked_at)
    if found is None:
        return texture
    background, distance = found
    masks = np.stack([_segment(colours, background, distance) for colours in looked_at])
    areas = masks.mean(axis=(1, 2))
    area = float(np.median(areas))
    plausible = np.array([_is_plausible(float(share), area) for share in areas])
    if not _AREAS[0] <= area <= _AREAS[1] or plausible.mean() < 0.7:
        return texture
    presence = masks[plausible].mean(axis=0)
    colour = tuple(float(value) for value in background)
    return Foreground("object", presence >= presence.max() / 2, area, colour, distance, white)


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


def _background_of(looked_at: Sequence[FloatMap]) -> tuple[FloatMap, float] | None:
    """The background's colour [C] and the distance that leaves it, or None when the pictures have no background.

    Backgrounds that differ between pictures need no check here: their masks cover everything and are implausible.
    """
    rings = np.stack([colours[_ring(colours.shape[:2])] for colours in looked_at])
    own = np.median(rings, axis=1)
    background: FloatMap = np.median(own, axis=0).astype(np.float32)
    within = np.quantile(_distance(rings, own[:, None]), 0.75, axis=1)
    top, left = looked_at[0].shape[0] // 4, looked_at[0].shape[1] // 4
    centres = np.stack([colours[top:-top, left:-left].reshape(-1, colours.shape[2]) for colours in looked_at])
    centre = float(np.median(_distance(centres, own[:, None])))
    noise = float(np.median(within))
    if noise > _SAME_COLOUR or centre < max(_SAME_COLOUR, 3 * noise):
        return None
    otsu = _otsu(np.concatenate([_distance(colours, background).ravel() for colours in looked_at]))
    return background, max(_FLOOR, min(otsu, 3 * noise))


def _segment(colours: FloatMap, background: FloatMap, distance: float) -> BoolMap:
    """Pixels unlike the background: closed, filled, without crumbs, slightly dilated. [H, W] bool."""
    from scipy import ndimage

    own = np.median(colours[_ring(colours.shape[:2])], axis=0)
    if _distance(own, background) <= _SAME_COLOUR:
        background = own  # follows the light of this picture
    radius = max(1, round(0.01 * min(colours.shape[:2])))
    unlike = np.pad(_distance(colours, background) > distance, 2 * radius)
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(unlike, iterations=radius))
    opened = ndimage.binary_opening(filled)
    labels, count = ndimage.label(opened)
    if count == 0:
        return np.zeros(colours.shape[:2], dtype=np.bool_)
    areas = np.bincount(labels.ravel())[1:]
    kept = np.isin(labels, 1 + np.flatnonzero(areas >= 0.1 * areas.max()))
    grown = ndimage.binary_dilation(kept, iterations=2 * radius)
    return np.asarray(grown[2 * radius : -2 * radius, 2 * radius : -2 * radius], dtype=np.bool_)


def _is_plausible(share: float, median: float) -> bool:
    return median / _AREA_FACTOR <= share <= min(1.0, median * _AREA_FACTOR) and share > 0


def _ring(size: tuple[int, ...]) -> BoolMap:
    width = max(1, round(_RING * min(size)))
    ring = np.ones(size, dtype=np.bool_)
    ring[width:-width, width:-width] = False
    return ring


def _colours(picture: Picture, white: float) -> FloatMap:
    return picture.astype(np.float32) / np.float32(white)


def _distance(colours: FloatMap, other: FloatMap) -> FloatMap:
    """Root mean square difference over the channels, [..., C] to [...]; 1 from black to white."""
    return np.asarray(np.sqrt(np.square(colours - other).mean(axis=-1)), dtype=np.float32)


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold that splits `values` (0..1) into two classes of largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256, range=(0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    moment = np.cumsum(counts * middles)
    above = below[-1] - below
    means = moment[-1] * below - moment * below[-1]
    between = np.square(means) / np.maximum(below * above, 1)
    return float(edges[1 + int(np.argmax(between))])
