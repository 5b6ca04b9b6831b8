"""One picture in, one small record out: decoded once, measured, and let go; a thumbnail is all that stays of it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from diffusionad.data import day_in, read_mask_levels, read_stored, resize
from diffusionad.errors import PictureError
from diffusionad.files import file_hash
from diffusionad.structures import Picture, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SIDE", "Look", "MaskLook", "Unread", "in_8_bits", "look_at", "look_at_all"]

SIDE = 64
"""Height and width of a thumbnail, in pixels, whatever the picture's aspect."""

_ROWS = 256  # rows of the picture measured at a time, so that a large one takes no multiple of its own memory
_CLIPPED = 1  # grey levels from either end of 0..255 that count as clipped


@dataclass(frozen=True, slots=True)
class MaskLook:
    """What a mask file holds.

    Attributes:
        size: (H, W) in pixels; (0, 0) when it cannot be read.
        levels: how many different values it has.
        marked: share of pixels above 0, 0..1.
        error: why it cannot be read; None when it can.
    """

    size: tuple[int, int]
    levels: int
    marked: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of one readable picture: about 13 KB.

    Attributes:
        sample: which picture.
        digest: sha256 of the file, hexadecimal.
        size: (H, W) as stored, in pixels.
        mode, profile, rotation: as in `diffusionad.data.Stored`.
        taken: day of recording, by EXIF or else by a date in the file's name; None where unknown.
        deep: 16 bits a pixel rather than 8.
        peak: highest value in the file, 0..255 or 0..65535.
        low_bits: the lowest four bits of all values, or-ed: 0 when they are never used.
        sharpness: variance of the Laplacian, in squared grey levels of 0..255, at native size.
        level: median grey level, 0..255.
        clipped: share of pixels within one level of black or of white, 0..1.
        thumbnail: [64, 64, 3] uint8.
        mask: what its mask holds; None without one.
    """

    sample: Sample
    digest: str
    size: tuple[int, int]
    mode: str
    profile: str | None
    rotation: int
    taken: date | None
    deep: bool
    peak: int
    low_bits: int
    sharpness: float
    level: float
    clipped: float
    thumbnail: NDArray[np.uint8]
    mask: MaskLook | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture that cannot be read: its sample, a code such as ``picture.truncated``, and the reason in a sentence."""

    sample: Sample
    code: str
    reason: str


def look_at_all(
    samples: Iterable[Sample], *, workers: int | None = None, seen: Callable[[int], None] = lambda _: None
) -> Iterator[Look | Unread]:
    """Look at the pictures in parallel threads and yield what was seen, in the order given.

    Args:
        samples: the pictures.
        workers: threads; None takes one for each processor. Each holds one decoded picture at a time.
        seen: called with the number of pictures done.
    """
    threads = workers or os.cpu_count() or 1
    waiting = iter(samples)
    with ThreadPoolExecutor(threads, thread_name_prefix="doctor") as pool:
        running: deque[Future[Look | Unread]] = deque(
            pool.submit(look_at, sample) for sample in islice(waiting, 4 * threads)
        )
        done = 0
        try:
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(look_at, sample) for sample in islice(waiting, 1))
                done += 1
                seen(done)
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def look_at(sample: Sample) -> Look | Unread:
    """Decode and measure one picture and its mask. Never raises because of what is in a file."""
    try:
        stored = read_stored(sample.path)
        digest = file_hash(sample.path)
    except PictureError as error:
        return Unread(sample, error.code, str(error))
    except OSError as error:  # it vanished between the two lines
        return Unread(sample, "picture.unreadable", f"{str(sample.path)!r} cannot be read ({error.strerror}).")
    picture = stored.picture
    peak = int(picture.max())
    low_bits = int(np.bitwise_or.reduce(picture, axis=None)) & 15
    shown = in_8_bits(picture, peak)
    grey = Image.fromarray(shown).convert("L")
    level, clipped = _exposure(grey)
    return Look(
        sample=sample,
        digest=digest,
        size=(picture.shape[0], picture.shape[1]),
        mode=stored.mode,
        profile=stored.profile,
        rotation=stored.rotation,
        taken=stored.taken or day_in(sample.path.name),
        deep=picture.dtype == np.uint16,
        peak=peak,
        low_bits=low_bits,
        sharpness=_sharpness(np.asarray(grey)),
        level=level,
        clipped=clipped,
        thumbnail=np.ascontiguousarray(resize(shown, (SIDE, SIDE)), dtype=np.uint8),
        mask=None if sample.mask_path is None else _look_at_mask(sample.mask_path),
    )


def _look_at_mask(path: Path) -> MaskLook:
    try:
        levels = read_mask_levels(path)
    except PictureError as error:
        return MaskLook((0, 0), 0, 0.0, str(error))
    return MaskLook((levels.shape[0], levels.shape[1]), len(np.unique(levels)), float((levels > 0).mean()))


def in_8_bits(picture: Picture, peak: int) -> NDArray[np.uint8]:
    """[H, W, 3] uint8 0..255; a picture that stays within 12 bits counts as one of 12 bits, or it would be black."""
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    return (picture >> (4 if peak <= 4095 else 8)).astype(np.uint8)


def _exposure(grey: Image.Image) -> tuple[float, float]:
    """Median level 0..255 and share of clipped pixels 0..1."""
    counts = np.asarray(grey.histogram(), dtype=np.int64)
    total = int(counts.sum())
    level = int(np.searchsorted(np.cumsum(counts), total / 2))
    ends = int(counts[: _CLIPPED + 1].sum()) + int(counts[-_CLIPPED - 1 :].sum())
    return float(level), ends / total


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the four-neighbour Laplacian over the inner pixels, in strips: exact, whatever the strip."""
    total = squares = 0.0
    for top in range(0, grey.shape[0] - 2, _ROWS):
        rows = grey[top : top + _ROWS + 2].astype(np.int16)
        inner = 4 * rows[1:-1, 1:-1] - rows[:-2, 1:-1] - rows[2:, 1:-1] - rows[1:-1, :-2] - rows[1:-1, 2:]
        values = inner.astype(np.float32).ravel()
        total += float(values.sum(dtype=np.float64))
        squares += float(np.dot(values, values))
    count = (grey.shape[0] - 2) * (grey.shape[1] - 2)
    mean = total / count
    return float(max(0.0, squares / count - mean * mean))
