"""A plain background, learned from good pictures, and the object that stands out from it.

The ring along the border of each picture tells its background: one colour, or, where that explains the ring much
better, a colour that changes smoothly over the picture (light falls off). What is unlike it is the object.
scipy (extra `train`) is imported inside the functions, for inference never needs this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap, Picture

__all__ = [
    "PlainBackground",
    "as_three",
    "cleaned",
    "colours_of",
    "in_place_of_implausible",
    "learn_background",
    "ring_of",
    "white_of",
]

_RING = 0.04  # width of the border ring, share of the shorter side
_NOISE = 0.1  # colour distance 0..1 up to which a background counts as plain
_FLOOR = 0.05  # smallest colour distance that is not background
_SMOOTH = 0.5  # a smooth surface is believed when it leaves less than this share of what one colour leaves unexplained
_AREAS = (0.02, 0.95)  # share of the picture an object takes
_AREA_FACTOR = 1.75  # a mask this many times larger or smaller than the median is implausible
_ON_RING = 0.15  # a mask that covers this much more of the ring than usual took background for object
_STEP = 0.3  # an object has an edge: this share of its contrast is gained within a few pixels of its outline
_CLOSE, _OPEN, _GROW = 0.03, 0.015, 0.01  # radii of the morphology, share of the shorter side


@dataclass(frozen=True, slots=True, eq=False)
class PlainBackground:
    """What was learned of pictures of one size.

    Attributes:
        distance: colour distance, as a share of `white`, from which a pixel is no longer background; a picture whose
            border is less plain than that has its own.
        white: the value that counts as 1: 255, or the brightest value seen in 16-bit pictures.
        masks: [n, H, W] bool, the object in each picture that was learned from, implausible ones included.
    """

    distance: float
    white: float
    masks: BoolMap = field(repr=False)

    def mask_of(self, picture: Picture) -> BoolMap:
        """What is unlike the background of `picture`, [H, W] bool; empty where nothing is."""
        unlike = _unlikeness(colours_of(picture, self.white))
        return cleaned(unlike > max(self.distance, _own_distance(unlike)))


def learn_background(pictures: Sequence[Picture]) -> PlainBackground | str:
    """The background of good pictures, all [H, W, C] of one size; or a clause that says why they have none."""
    white = white_of(pictures)
    unlike = [_unlikeness(colours_of(picture, white)) for picture in pictures]
    height, width = unlike[0].shape
    ring = ring_of((height, width))
    noise = float(np.median([np.quantile(values[ring], 0.75) for values in unlike]))
    middle = (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4))
    centre = float(np.median([np.median(values[middle]) for values in unlike]))
    if noise > _NOISE:
        return f"the border is not plain (its colours differ by {noise:.0%})"
    if centre < max(_NOISE, 3 * noise):
        return f"the middle looks like the border (they differ by {centre:.0%})"
    distance = max(_FLOOR, min(_otsu(np.concatenate([values.ravel() for values in unlike])), 3 * noise))
    masks = np.stack([cleaned(values > max(distance, _own_distance(values))) for values in unlike])
    share = float(np.median(masks.mean(axis=(1, 2))))
    if not _AREAS[0] <= share <= _AREAS[1] or _plausible(masks).mean() < 0.7:
        return "what differs from the border has another size in every picture"
    if float(np.median([_step(values, mask) for values, mask in zip(unlike, masks, strict=True)])) < _STEP * centre:
        return "what differs from the border has no edge"
    return PlainBackground(distance, white, masks)


def in_place_of_implausible(masks: BoolMap) -> tuple[BoolMap, BoolMap]:
    """Masks [n, H, W] with the implausible replaced by what most of the others show, and that mean mask [H, W].

    Implausible is a mask of a very different area, or one that covers much more of the border than usual.
    """
    plausible = _plausible(masks)
    presence = masks[plausible].mean(axis=0) if plausible.any() else masks.mean(axis=0)
    mean_mask: BoolMap = presence >= max(float(presence.max()) / 2, 1e-9)
    return np.where(plausible[:, None, None], masks, mean_mask), mean_mask


def cleaned(unlike: BoolMap) -> BoolMap:
    """An object [H, W] from scattered pixels: closed, filled, without threads and crumbs, slightly dilated.

    What touches the border is left out, unless it is the largest: that is a rail or a shadow, not the object.
    """
    from scipy import ndimage

    side = min(unlike.shape)
    close, opened, grow = (max(1, round(share * side)) for share in (_CLOSE, _OPEN, _GROW))
    margin = close + grow
    padded = ndimage.binary_opening(np.pad(unlike, margin), _disc(1))
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(padded, _disc(close)))
    labels, count = ndimage.label(ndimage.binary_opening(filled, _disc(opened)))
    if count == 0:
        return np.zeros(unlike.shape, dtype=np.bool_)
    areas = np.bincount(labels.ravel())[1:]
    inner = labels[margin:-margin, margin:-margin]
    edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    at_border = np.bincount(edge, minlength=count + 1)[1:] > 0
    largest = areas == areas.max()
    kept = np.isin(labels, 1 + np.flatnonzero((areas >= 0.1 * areas.max()) & (largest | ~at_border)))
    grown = ndimage.binary_dilation(kept, _disc(grow))
    return np.asarray(grown[margin:-margin, margin:-margin], dtype=np.bool_)


def ring_of(size: tuple[int, int]) -> BoolMap:
    """[H, W] bool, True along the border."""
    width = max(1, round(_RING * min(size)))
    ring = np.ones(size, dtype=np.bool_)
    ring[width:-width, width:-width] = False
    return ring


def white_of(pictures: Sequence[Picture]) -> float:
    """255, or the brightest value of 16-bit pictures: cameras leave the upper bits empty."""
    if pictures[0].dtype == np.uint8:
        return 255.0
    return float(max(1, *(int(picture.max()) for picture in pictures)))


def colours_of(picture: Picture, white: float) -> FloatMap:
    """[H, W, C] float32, 1 at `white`."""
    return picture.astype(np.float32) / np.float32(white)


def as_three(colours: FloatMap) -> FloatMap:
    """[H, W, C] as red, green and blue: a stack of another number of pages as the grey of its mean."""
    return colours if colours.shape[2] == 3 else np.repeat(colours.mean(axis=2, keepdims=True), 3, axis=2)


def _unlikeness(colours: FloatMap) -> FloatMap:
    """How far each pixel is from the background that the ring tells: root mean square over the channels, 0..1."""
    ring = ring_of((colours.shape[0], colours.shape[1]))
    flat = _distance(colours, np.median(colours[ring], axis=0))
    smooth = _distance(colours, _surface(colours, ring, flat[ring]))
    better = np.quantile(smooth[ring], 0.75) < _SMOOTH * np.quantile(flat[ring], 0.75)
    return smooth if better and np.quantile(flat[ring], 0.75) > _FLOOR / 3 else flat


def _own_distance(unlike: FloatMap) -> float:
    """The distance that leaves the background of this picture alone."""
    noise = float(np.quantile(unlike[ring_of((unlike.shape[0], unlike.shape[1]))], 0.75))
    return min(_otsu(unlike.ravel()), 3 * noise)


def _surface(colours: FloatMap, ring: BoolMap, left: NDArray[np.float32]) -> FloatMap:
    """Second-order polynomial through the ring, [H, W, C]; what lies far off it, such as a part's end, has no say."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, count) for count in ring.shape), indexing="ij")
    terms = np.stack([np.ones(ring.shape), x, y, x * x, x * y, y * y], axis=-1).astype(np.float32)
    known, wanted = terms[ring], colours[ring]
    weights = np.zeros((terms.shape[-1], colours.shape[-1]), dtype=np.float32)
    for _ in range(4):
        near = left <= max(2.5 * float(np.median(left)), 0.01)
        weights = np.linalg.lstsq(known[near], wanted[near], rcond=None)[0]
        left = _distance(wanted, known @ weights)
    return np.asarray(terms @ weights, dtype=np.float32)


def _step(unlike: FloatMap, mask: BoolMap) -> float:
    """How much more unlike the background it is just inside an outline than just outside."""
    from scipy import ndimage

    reach = max(2, round(0.02 * min(mask.shape)))
    inside = mask & ~ndimage.binary_erosion(mask, iterations=3 * reach, border_value=1)
    inside &= ndimage.binary_erosion(mask, iterations=reach, border_value=1)
    outside = ndimage.binary_dilation(mask, iterations=reach) & ~mask
    if not inside.any() or not outside.any():
        return 0.0
    return float(np.median(unlike[inside]) - np.median(unlike[outside]))


def _plausible(masks: BoolMap) -> BoolMap:
    areas = masks.mean(axis=(1, 2))
    ring = ring_of((masks.shape[1], masks.shape[2]))
    covered, median = masks[:, ring].mean(axis=1), float(np.median(areas))
    fits = (areas > 0) & (areas >= median / _AREA_FACTOR) & (areas <= median * _AREA_FACTOR)
    return np.asarray(fits & (covered <= np.median(covered) + _ON_RING), dtype=np.bool_)


def _disc(radius: int) -> BoolMap:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(np.hypot(x, y) <= radius + 0.3, dtype=np.bool_)


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
