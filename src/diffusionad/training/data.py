"""The pictures of a run: found, read once, split by the seed, foregrounds and textures with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusionad.config import Config
from diffusionad.data import (
    Framing,
    View,
    find_foreground,
    find_pictures,
    find_samples,
    foreground_from_folder,
    read_picture,
    resize,
)
from diffusionad.errors import PictureError, TooFewPicturesError, UsageError
from diffusionad.files import file_hash
from diffusionad.report.pictures import to_display
from diffusionad.rng import generator
from diffusionad.structures import GOOD, BoolMap, Confirmed, Picture, Sample

__all__ = ["ENOUGH", "FEWEST", "GoodPictures", "Portion", "read_good_pictures", "read_textures"]

FEWEST = 10
"""Good pictures below which nothing can be learned or checked."""

ENOUGH = 30
"""Good pictures below which no promise about false alarms is made."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Good pictures with one use.

    Attributes:
        samples: where they came from.
        pictures: at working size, HWC uint8 or uint16.
        foregrounds: [H, W] bool each; None for textures.
        views: what each picture shows of its file.
    """

    samples: list[Sample]
    pictures: list[Picture]
    foregrounds: list[BoolMap | None]
    views: list[View]

    @property
    def judged(self) -> list[BoolMap | None]:
        """[H, W] bool each, where it is judged; None where that is everywhere."""
        return [view.judged for view in self.views]


@dataclass(frozen=True, slots=True)
class GoodPictures:
    """All good pictures of a data set, split; memory is their number x working size x 3 bytes (6 for 16 bit).

    Attributes:
        training, validation, calibration: disjoint; validation chooses the weights, calibration the threshold.
        kind: "object", "texture", "whole" or "folder": how the foreground was found.
        hashes: sha256 of each file that trained or chose, 16 hexadecimal digits.
        unreadable: (path, sentence) of pictures left out because they cannot be read.
        key: sha256 of names and contents; a run can only be resumed on the same pictures.
    """

    training: Portion
    validation: Portion
    calibration: Portion
    kind: str
    hashes: list[str]
    unreadable: list[tuple[str, str]]
    key: str


def read_good_pictures(
    root: Path, config: Config, layout: str, category: str | None, confirmed: Confirmed | None = None
) -> GoodPictures:
    """Find, read and split the good training pictures of a data set; `confirmed` ones come on top of the split.

    Raises:
        DataError, UsageError: see `find_samples`.
        TooFewPicturesError: fewer than 10 good pictures can be read.
    """
    samples = [item for item in find_samples(root, layout, category) if item.split == "train" and item.is_good]
    framing = Framing(config.data.fit, config.data.size)
    added = confirmed or Confirmed()
    more = [Sample(path, "train", "", GOOD) for path in (*added.training, *added.calibration)]
    readable, pictures, views, digests, unreadable = [], [], [], [], []
    for sample in (*samples, *more):
        try:
            picture = read_picture(sample.path)
            digests.append(file_hash(sample.path))
            views.append(framing.view((picture.shape[0], picture.shape[1])))
            pictures.append(views[-1].picture(picture))
            readable.append(sample)
        except PictureError as error:
            unreadable.append((str(sample.path), str(error)))
    count = sum(sample not in more for sample in readable)
    if count < FEWEST:
        because = f" {len(unreadable)} more could not be read; the first: {unreadable[0][1]}" if unreadable else ""
        raise TooFewPicturesError(
            f"{count} good pictures were found in {root}; at least {FEWEST} are needed to learn from some and "
            f"check on others, {ENOUGH} for a promise about false alarms, and 100 or more are better.{because}"
        )
    foregrounds, kind = _foregrounds(config, readable, pictures, views)
    parts = _split(count, config)
    for index in range(count, len(readable)):
        parts[0 if readable[index].path in added.training else 2].append(index)
    training, validation, calibration = (
        Portion(
            [readable[i] for i in part],
            [pictures[i] for i in part],
            [foregrounds[i] for i in part],
            [views[i] for i in part],
        )
        for part in parts
    )
    seen = sorted(digests[i][:16] for part in parts[:2] for i in part)
    names = "\n".join(f"{sample.path.name} {digest}" for sample, digest in zip(readable, digests, strict=True))
    return GoodPictures(
        training=training,
        validation=validation,
        calibration=calibration,
        kind=kind,
        hashes=seen,
        unreadable=unreadable,
        key=sha256(names.encode(errors="replace")).hexdigest(),
    )


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


def _split(count: int, config: Config) -> tuple[list[int], list[int], list[int]]:
    """Training, validation and calibration indices, by the seed alone."""
    order = generator(config.seed, "split", count).permutation(count).tolist()
    chosen = min(16, max(1, round(count * config.data.validation_share)))
    held = max(1, round(count * config.data.calibration_share))
    return sorted(order[chosen + held :]), sorted(order[:chosen]), sorted(order[chosen : chosen + held])


def _foregrounds(
    config: Config, samples: Sequence[Sample], pictures: Sequence[Picture], views: Sequence[View]
) -> tuple[list[BoolMap | None], str]:
    rule, size = config.data.foreground, config.data.size
    if rule == "whole":
        return [np.ones(size, dtype=np.bool_) for _ in pictures], "whole"
    if rule != "auto":
        return list(foreground_from_folder(Path(rule), samples, size, config.data.fit)), "folder"
    found = find_foreground(pictures)
    if found.kind == "texture":
        return [None for _ in pictures], "texture"
    return [found.mask_of(picture) for picture in pictures], "object"
