"""The pictures of a run: found, decoded once, split by the seed, foregrounds and textures with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusionad.config import Config
from diffusionad.data import (
    Foregrounds,
    Framing,
    Tiles,
    View,
    find_foregrounds,
    find_pictures,
    find_samples,
    picture_size,
    read_picture,
    read_roi,
    resize,
    see,
)
from diffusionad.data.roi import mask_png
from diffusionad.errors import PictureError, TooFewPicturesError, UsageError
from diffusionad.files import file_hash
from diffusionad.report.pictures import to_display
from diffusionad.rng import generator
from diffusionad.structures import GOOD, BoolMap, Picture, Sample
from diffusionad.training.cache import Cache, Entry, Pictures
from diffusionad.training.machine import free_memory

__all__ = ["ENOUGH", "FEWEST", "GoodPictures", "Portion", "read_good_pictures", "read_textures"]

FEWEST = 10
"""Good pictures below which nothing can be learned or checked."""

ENOUGH = 30
"""Good pictures below which no promise about false alarms is made."""

IN_MEMORY = 0.25
"""Share of the free memory that decoded pictures may take; 16 bits take twice what is reckoned."""

_NO_PIXELS = {
    "foreground",
    "validation_share",
    "calibration_share",
    "shift",
    "light",
    "overlap",
    "roi",
    "shrink",
    "brightness",
}
"""Settings of `data` that do not change a decoded picture; any other one does."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Good pictures with one use.

    Attributes:
        samples: where they came from.
        pictures: at working size, HWC uint8 or uint16; with tiles, whole and at their scale.
        foregrounds: [H, W] bool each; None for textures. With tiles, of the whole picture at working size.
        views: what each picture shows of its file.
    """

    samples: list[Sample]
    pictures: Pictures
    foregrounds: Sequence[BoolMap | None]
    views: list[View]

    @property
    def judged(self) -> list[BoolMap | None]:
        """[H, W] bool each, where it is judged; None where that is everywhere."""
        return [view.judged for view in self.views]

    def shown(self, config: Config) -> Sequence[Picture]:
        """What the networks judge of them, HWC at working size: the pictures, or all their tiles."""
        data = config.data
        return Tiles(self.pictures, data.size, data.overlap) if data.fit == "tile" else self.pictures


@dataclass(frozen=True, slots=True)
class GoodPictures:
    """All good pictures of a data set, split; memory is their number x working size x 3 bytes (6 for 16 bit).

    With a cache the pictures are mapped instead, and memory is a twenty-fourth of that for their foregrounds (a third
    while they are looked for).

    Attributes:
        training, validation, calibration: disjoint; validation chooses the weights, calibration the threshold.
        kind, reason: which foreground was chosen, and why (`diffusionad.data.Foregrounds`).
        hashes: sha256 of each file that trained or chose, 16 hexadecimal digits.
        unreadable: (path, sentence) of pictures left out because they cannot be read.
        key: sha256 of names and contents; a run can only be resumed on the same pictures.
        cache: folder of the decoded pictures; None: they are held in memory.
        roi: [H, W] bool, the region of interest at the native size of the first picture; None: all is judged.
    """

    training: Portion
    validation: Portion
    calibration: Portion
    kind: str
    reason: str
    hashes: list[str]
    unreadable: list[tuple[str, str]]
    key: str
    cache: Path | None
    roi: BoolMap | None = None


def read_good_pictures(
    root: Path,
    config: Config,
    layout: str,
    category: str | None,
    *,
    spill: Path,
    cache: Path | None = None,
    added: Sequence[Path] = (),
) -> GoodPictures:
    """Find, read and split the good training pictures of a data set; those `added` train too and do not move the split.

    Decoded pictures are held in memory when they take at most a quarter of what is free, else in files under `spill`.
    With `cache` they are always in files under that folder, where the next run finds them.

    Raises:
        DataError, UsageError: see `find_samples` and `read_roi`.
        TooFewPicturesError: fewer than 10 good pictures can be read.
        ResourceError: the disk is full, or the cache cannot be written.
    """
    samples = [item for item in find_samples(root, layout, category) if item.split == "train" and item.is_good]
    more = [Sample(path, "train", "", GOOD) for path in added]
    framing = _framing(config, samples)
    folder = cache or (None if _fits([*samples, *more], framing, config.channels) else spill)
    store = Cache(folder, config.data.model_dump(mode="json", exclude=_NO_PIXELS)) if folder else None
    readable, held, views, digests, unreadable = [], [], [], [], []
    for sample in (*samples, *more):
        try:
            digest = _digest(sample.path)
            pixels, view = _read(sample.path, digest, framing, config.data.channels, store)
        except PictureError as error:
            unreadable.append((str(sample.path), str(error)))
            continue
        digests.append(digest)
        held.append(pixels)
        views.append(view)
        readable.append(sample)
    count = len({sample.path for sample in readable}.difference(added))
    if count < FEWEST:
        because = f" {len(unreadable)} more could not be read; the first: {unreadable[0][1]}" if unreadable else ""
        raise TooFewPicturesError(
            f"{count} good pictures were found in {root}; at least {FEWEST} are needed to learn from some and "
            f"check on others, {ENOUGH} for a promise about false alarms, and 100 or more are better.{because}"
        )
    pictures = Pictures(held)
    found = _foregrounds(config, readable[:count], pictures)
    masks, parts = _Masks(found.masks), _split(count, config)
    parts[0].extend(range(count, len(readable)))
    training, validation, calibration = (
        Portion([readable[i] for i in part], pictures.at(part), masks.at(part), [views[i] for i in part])
        for part in parts
    )
    seen = sorted(digests[i][:16] for part in parts[:2] for i in part)
    names = "\n".join(f"{sample.path.name} {digest}" for sample, digest in zip(readable, digests, strict=True))
    roi = framing.roi
    content = names.encode(errors="replace") + (b"" if roi is None else mask_png(roi))
    return GoodPictures(
        training=training,
        validation=validation,
        calibration=calibration,
        kind=found.kind,
        reason=found.reason,
        hashes=seen,
        unreadable=unreadable,
        key=sha256(content).hexdigest(),
        cache=folder,
        roi=roi,
    )


def _fits(samples: Sequence[Sample], framing: Framing, channels: int) -> bool:
    """Whether the decoded pictures may be held in memory, reckoned with a byte a value."""
    height, width = framing.size
    pixels = len(samples) * height * width
    if framing.fit == "tile":
        pixels = 0
        for sample in samples:
            with suppress(PictureError):
                pixels += math.prod(framing.view(picture_size(sample.path)).working)
    return channels * pixels <= IN_MEMORY * free_memory()


def _digest(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:
        read_picture(path)  # says what is wrong with it
        raise


def _read(
    path: Path, digest: str, framing: Framing, channels: int | None, store: Cache | None
) -> tuple[Picture | Entry, View]:
    """A picture as it is seen, in memory or in the cache, and how it is seen."""

    def decode() -> tuple[Picture, tuple[int, int]]:
        shown = see(path, framing, channels)
        return shown.picture, shown.view.native

    if store is None:
        pixels, native = decode()
        return pixels, framing.view(native)
    entry = store.entry(digest, decode)
    return entry, framing.view(entry.native)


def read_textures(folder: Path | None, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Texture pictures [H, W, 3] uint8 under a folder, at about twice the working size at most; [] without a folder.

    Raises:
        UsageError: the folder is missing or holds no readable picture.
    """
    if folder is None:
        return []
    textures = []
    for path in find_pictures([folder]):
        try:
            picture = read_picture(path)
        except PictureError:
            continue
        height, width = picture.shape[:2]
        shrink = min(1.0, 2 * max(size) / max(height, width))
        small = resize(picture, (max(8, round(height * shrink)), max(8, round(width * shrink))))
        textures.append(to_display(small))
    if not textures:
        raise UsageError(f"No readable picture lies in the texture folder {folder}.")
    return textures


def _framing(config: Config, samples: Sequence[Sample]) -> Framing:
    """How pictures are framed; a region of interest is drawn at the size of the first that can be read."""
    data, roi = config.data, None
    for sample in samples if data.roi else ():
        with suppress(PictureError):
            roi = read_roi(Path(str(data.roi)), picture_size(sample.path))
            break
    return Framing(data.fit, data.size, data.tile, data.overlap, roi)


def _split(count: int, config: Config) -> tuple[list[int], list[int], list[int]]:
    """Training, validation and calibration indices, by the seed alone."""
    order = generator(config.seed, "split", count).permutation(count).tolist()
    chosen = min(16, max(1, round(count * config.data.validation_share)))
    held = max(1, round(count * config.data.calibration_share))
    return sorted(order[chosen + held :]), sorted(order[:chosen]), sorted(order[chosen : chosen + held])


class _Masks(Sequence["BoolMap | None"]):
    """Foregrounds, a bit a pixel: as bool they would take a third of the pictures' memory."""

    def __init__(self, masks: Iterable[BoolMap | None]) -> None:
        self._packed = [None if mask is None else (mask.shape, np.packbits(mask)) for mask in masks]

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, index: Any) -> Any:
        packed = self._packed[index]
        if packed is None:
            return None
        (height, width), bits = packed
        return np.unpackbits(bits, count=height * width).view(np.bool_).reshape(height, width)

    def at(self, indices: Sequence[int]) -> _Masks:
        """Those at `indices`, in that order."""
        chosen = _Masks([])
        chosen._packed = [self._packed[index] for index in indices]
        return chosen


def _foregrounds(config: Config, samples: Sequence[Sample], pictures: Sequence[Picture]) -> Foregrounds:
    """Nobody drew those of pictures beyond `samples`: where masks are drawn, all of these counts."""
    fit = config.data.fit
    if fit == "tile":  # the object is looked for in the picture, not in its tiles
        fit, pictures = "stretch", [resize(picture, config.data.size) for picture in pictures]
    found = find_foregrounds(config.data.foreground, pictures, samples, fit)
    beyond = len(pictures) - len(found.masks)
    return replace(found, masks=[*found.masks, *[np.ones(config.data.size, dtype=np.bool_)] * beyond])
