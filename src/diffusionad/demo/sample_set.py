"""A generated sample set in the MVTec AD layout: something to train and inspect before one's own pictures are ready."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image as PillowImage

from diffusionad.demo.camera import photograph
from diffusionad.demo.defects import DEFECTS, damage
from diffusionad.demo.fields import blurred, halved
from diffusionad.demo.parts import build_surface
from diffusionad.demo.traits import draw_traits
from diffusionad.errors import UsageError
from diffusionad.files import write_bytes
from diffusionad.structures import GOOD, BoolMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DrawnSample", "draw_defective", "draw_good", "write_sample_set"]

_TRAIN_GOOD, _TEST_GOOD, _PER_DEFECT = 100, 25, 10
_SMALLEST = 32
_VISIBLE = 8
"""Grey levels by which a pixel must change to count as damaged: about four times the sensor's noise."""

_AREA = (0.001, 0.07)
"""Smallest and largest share of the picture that a defect may cover."""

_CLEAR, _SUBTLE = 24, 13
"""Grey levels by which the tenth of a defect that changed most must change, usually and where it is subtle."""

_ATTEMPTS = 40
_ROLES = {"train": 0, "test": 1, **{kind: 2 + place for place, kind in enumerate(sorted(DEFECTS))}}


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """One defective picture and what it would have been.

    Attributes:
        picture: [size, size, 3] uint8 RGB with the defect.
        clean: [size, size, 3] uint8 RGB, the same part, light and sensor noise without the defect.
        true_mask: [size, size] bool, pixels that are anomalous.
    """

    picture: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    true_mask: BoolMap


def write_sample_set(root: Path, seed: int = 0, size: int = 256) -> Path:
    """Draw the sample set and write it below `root`: 100 good pictures to learn from, 25 good and 50 defective to test.

    The same seed and size give the same pixels, and each picture can be drawn without the others.

    Args:
        root: folder of the category; made where missing, files of the same name are replaced.
        seed: 0 or more; another seed is another batch of parts.
        size: pixels along a side of the square pictures, at least 32.

    Returns:
        `root`, with `train/good`, `test/good`, `test/<defect>` and `ground_truth/<defect>/<stem>_mask.png`.

    Raises:
        UsageError: seed or size cannot be.
        ResourceError: the disk is full or refuses to write.
    """
    return _write(root, seed, size, train=_TRAIN_GOOD, test=_TEST_GOOD, defective=_PER_DEFECT)


def draw_good(split: Literal["train", "test"], index: int, seed: int = 0, size: int = 256) -> NDArray[np.uint8]:
    """Draw good picture number `index` of `split`: [size, size, 3] uint8 RGB."""
    _check(seed, size)
    key = (seed, _ROLES[split], index)
    rng = np.random.default_rng([*key, 0])
    traits = draw_traits(rng)
    return photograph(build_surface(traits, rng, size), traits, _sensor_noise(key, size))


def draw_defective(kind: str, index: int, seed: int = 0, size: int = 256) -> DrawnSample:
    """Draw defective picture number `index` of `kind` (a key of DEFECTS), its clean twin and its true mask.

    A defect that would be too small, too large or too faint to be fair is drawn again; every tenth is subtle.
    """
    if kind not in DEFECTS:
        raise UsageError(f"There is no defect {kind!r} in the sample set; the kinds are {', '.join(sorted(DEFECTS))}.")
    _check(seed, size)
    key = (seed, _ROLES[kind], index)
    rng = np.random.default_rng([*key, 0])
    traits = draw_traits(rng)
    surface, sensor_noise = build_surface(traits, rng, size), _sensor_noise(key, size)
    clean = photograph(surface, traits, sensor_noise)
    subtle = index % 10 == 3
    for attempt in range(_ATTEMPTS):
        fate = np.random.default_rng([*key, 2, attempt])
        strength = 0.7 if subtle else float(fate.uniform(0.9, 1.2))
        harm = damage(kind, surface, traits, fate, strength)
        picture = photograph(harm.surface, traits, sensor_noise)
        change = np.abs(picture.astype(np.int16) - clean.astype(np.int16)).mean(axis=2)
        true_mask = _true_mask(change, harm.reach)
        if not _AREA[0] <= true_mask.mean() <= _AREA[1]:
            continue
        if np.quantile(change[true_mask], 0.9) >= (_SUBTLE if subtle else _CLEAR):
            return DrawnSample(picture, clean, true_mask)
    raise UsageError(
        f"No visible {kind} fits a picture of {size} pixels (seed {seed}, picture {index}); ask for a larger size."
    )


def _write(root: Path, seed: int, size: int, *, train: int, test: int, defective: int) -> Path:
    counts: dict[Literal["train", "test"], int] = {"train": train, "test": test}
    for split, count in counts.items():
        for index in range(count):
            _save(root / split / GOOD / f"{index:03d}.png", draw_good(split, index, seed, size))
    for kind in sorted(DEFECTS):
        for index in range(defective):
            drawn = draw_defective(kind, index, seed, size)
            _save(root / "test" / kind / f"{index:03d}.png", drawn.picture)
            _save(
                root / "ground_truth" / kind / f"{index:03d}_mask.png", drawn.true_mask.astype(np.uint8) * np.uint8(255)
            )
    return root


def _check(seed: int, size: int) -> None:
    if seed < 0:
        raise UsageError(f"The seed of the sample set is {seed}; it must be 0 or more.")
    if size < _SMALLEST:
        raise UsageError(f"The sample set's pictures are to have {size} pixels a side; ask for at least {_SMALLEST}.")


def _sensor_noise(key: tuple[int, int, int], size: int) -> NDArray[np.float32]:
    return np.random.default_rng([*key, 1]).standard_normal((size, size, 3), np.float32)


def _true_mask(change: NDArray[np.float64], reach: BoolMap) -> BoolMap:
    """Outline the defect as a person would: what visibly changed, speckles dropped, gaps closed, holes filled.

    Args:
        change: [size, size] grey levels between the picture and its clean twin.
        reach: [2 size, 2 size] bool on the canvas, where the defect may lie.
    """
    size = change.shape[0]
    near = halved(reach.astype(np.float32)) > 0
    visible = (change > _VISIBLE) & near
    solid = blurred(visible.astype(np.float32), 0.8 * size / 256) > 0.34
    gap = max(1, round(4 * size / 256))
    return _filled(~_grown(~_grown(solid, gap), gap))


def _grown(region: BoolMap, reach: int) -> BoolMap:
    """Widen a region [H, W] by `reach` pixels to all sides."""
    padded = np.pad(region, reach)
    height, width = region.shape
    tall = np.any([padded[start : start + height] for start in range(2 * reach + 1)], axis=0)
    wide: BoolMap = np.any([tall[:, start : start + width] for start in range(2 * reach + 1)], axis=0)
    return wide


def _filled(region: BoolMap) -> BoolMap:
    """Fill what the frame of the picture cannot reach, [H, W] bool."""
    outside = np.pad(np.zeros_like(region), 1, constant_values=True)
    free = np.pad(~region, 1, constant_values=True)
    reached = 0
    while (now := int(outside.sum())) != reached:
        reached = now
        for _ in range(8):
            outside[1:] |= outside[:-1]
            outside[:-1] |= outside[1:]
            outside[:, 1:] |= outside[:, :-1]
            outside[:, :-1] |= outside[:, 1:]
            outside &= free
    return ~outside[1:-1, 1:-1]


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, format="PNG", compress_level=1)
    write_bytes(path, stream.getvalue())
