"""Checks on how the good pictures look: nothing to see, no variation, blur, exposure, and defects among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.doctor.findings import Finding, Seen, counted
from diffusionad.doctor.looking import SIDE, Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_blank", "find_blur", "find_exposure", "find_suspects", "find_uniform", "robust_z", "strangeness"]

_FEWEST = 10  # pictures, below which nobody knows what is usual
_SAMPLED = 1000  # thumbnails from which the usual look is taken; bounds memory
_PLACES = 20  # most deviating places of 64 x 64 that make a picture strange
_NOISE = 2.0  # grey levels of a thumbnail that mean nothing anywhere
_SUSPECT, _SUSPECT_FLOOR = 4.0, 0.08  # robust z, and the least spread, of the logarithm of strangeness
_BLUR, _BLUR_FLOOR = 5.0, 0.15  # of the logarithm of sharpness
_LEVEL, _LEVEL_FLOOR = 5.0, 4.0  # of the median level, in grey levels
_CLIP, _CLIP_FLOOR = 6.0, 0.01  # of the clipped share


def find_blank(seen: Seen) -> Iterator[Finding]:
    """Pictures of one single tone: lens cap, dead camera, trigger without light."""
    blank = [look for look in seen.looks if _is_blank(look)]
    if blank:
        yield Finding(
            "look.blank",
            "broken",
            f"{counted(len(blank), one='shows', many='show')} nothing at all, one single tone.",
            "Check camera and light, and delete them.",
            tuple(look.sample.path for look in blank),
            tuple(f"level {look.level:.0f}" for look in blank),
        )


def find_uniform(seen: Seen) -> Iterator[Finding]:
    """All good training pictures show exactly the same."""
    thumbnails = [look.thumbnail for look in seen.training]
    if len(thumbnails) > 1 and all(np.array_equal(one, thumbnails[0]) for one in thumbnails[1:]):
        yield Finding(
            "look.no_variation",
            "broken",
            f"All {len(thumbnails)} good training pictures show the same: there is no variation to learn.",
            "Check the recording: is it one picture, saved again and again? Record different parts.",
        )


def find_blur(seen: Seen) -> Iterator[Finding]:
    """Good pictures much softer than the others: variance of the Laplacian."""
    good = [look for look in seen.good if not _is_blank(look)]
    if len(good) < _FEWEST:
        return
    sharpness = np.array([look.sharpness for look in good])
    z = robust_z(np.log(sharpness + 0.1), _BLUR_FLOOR)
    usual = float(np.median(sharpness))
    worst = [index for index in np.argsort(z).tolist() if z[index] < -_BLUR]
    if worst:
        yield Finding(
            "look.blur",
            "risk",
            f"{counted(len(worst), 'good picture')} much softer than the others: out of focus, or moved.",
            "Look at them; delete them, or keep them if the line delivers such pictures.",
            tuple(good[index].sample.path for index in worst),
            tuple(f"sharpness {good[index].sharpness / usual:.1%} of usual" for index in worst),
        )


def find_exposure(seen: Seen) -> Iterator[Finding]:
    """Good pictures much lighter or darker than the others, or with much more in full black or white."""
    good = [look for look in seen.good if not _is_blank(look)]
    if len(good) < _FEWEST:
        return
    levels, clipped = np.array([look.level for look in good]), np.array([look.clipped for look in good])
    lightness, excess = robust_z(levels, _LEVEL_FLOOR), robust_z(clipped, _CLIP_FLOOR)
    badness = np.maximum(np.abs(lightness) / _LEVEL, excess / _CLIP)
    worst = [index for index in np.argsort(-badness, kind="stable").tolist() if badness[index] > 1]
    if worst:
        usual = float(np.median(levels))
        yield Finding(
            "look.exposure",
            "risk",
            f"{counted(len(worst), 'good picture')} exposed unlike the others.",
            "Look at them; delete them, or keep them if the line delivers such pictures.",
            tuple(good[index].sample.path for index in worst),
            tuple(
                f"{clipped[index]:.0%} clipped, usual {np.median(clipped):.0%}"
                if excess[index] / _CLIP >= badness[index]
                else f"level {levels[index]:.0f}, usual {usual:.0f}"
                for index in worst
            ),
        )


def find_suspects(seen: Seen) -> Iterator[Finding]:
    """Good training pictures that differ from the others at some place far more than any does usually."""
    training = seen.training
    if len(training) < _FEWEST:
        return
    strange = strangeness([look.thumbnail for look in training])
    z = robust_z(np.log(strange + 0.1), _SUSPECT_FLOOR)
    worst = [index for index in np.argsort(-z, kind="stable").tolist() if z[index] > _SUSPECT]
    if worst:
        yield Finding(
            "label.suspect",
            "risk",
            f"{counted(len(worst), 'good training picture', one='looks', many='look')} unlike the others, "
            "the strangest first: perhaps defective.",
            "Look at them; move defective ones to test/<defect>.",
            tuple(training[index].sample.path for index in worst),
            tuple(f"z {z[index]:.1f}" for index in worst),
        )


def strangeness(thumbnails: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """[N] how far each thumbnail's 20 most deviating places are from what is usual there, in robust deviations.

    Usual is the median of all thumbnails at that place and colour. The deviation is 1.4826 times the median absolute
    one, or the absolute one that a tenth exceeds over 1.645 (what edges of parts that lie a little elsewhere do), the
    largest among the neighbouring places, and at least two grey levels. Each thumbnail's own median level is taken off
    first: light may change a little.

    Args:
        thumbnails: [64, 64, 3] uint8 each, at least one.
    """
    offsets = [np.median(one, axis=(0, 1)).astype(np.float32) for one in thumbnails]
    step = -(-len(thumbnails) // _SAMPLED)
    some = range(0, len(thumbnails), step)
    usual = np.empty((SIDE, SIDE, 3), np.float32)
    deviation = np.empty_like(usual)
    for top in range(0, SIDE, 4):
        rows = slice(top, top + 4)
        stack = np.stack([thumbnails[index][rows] - offsets[index] for index in some])
        usual[rows] = np.median(stack, axis=0)
        middle, tenth = np.quantile(np.abs(stack - usual[rows]), (0.5, 0.9), axis=0)
        deviation[rows] = np.maximum(1.4826 * middle, tenth / 1.645)
    deviation = np.maximum(_largest_nearby(deviation), _NOISE)
    result = np.empty(len(thumbnails))
    for index, one in enumerate(thumbnails):
        places = (np.abs(one - offsets[index] - usual) / deviation).max(axis=2).ravel()
        result[index] = np.partition(places, -_PLACES)[-_PLACES:].mean()
    return result


def _largest_nearby(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest of 3 x 3 places, [H, W, C]."""
    wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    shifted = [wide[y : y + values.shape[0], x : x + values.shape[1]] for y in range(3) for x in range(3)]
    largest: NDArray[np.float32] = np.max(shifted, axis=0)
    return largest


def robust_z(values: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """(value - median) / spread; spread is 1.4826 times the median absolute deviation, at least `floor` (> 0)."""
    apart = values - np.median(values)
    z: NDArray[np.float64] = apart / max(1.4826 * float(np.median(np.abs(apart))), floor)
    return z


def _is_blank(look: Look) -> bool:
    return int(np.ptp(look.thumbnail)) <= 1 and look.sharpness < 0.01
