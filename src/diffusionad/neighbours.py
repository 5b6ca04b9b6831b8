"""The good training pictures a bundle keeps, small: so that a verdict can show the good part most like the one judged.

A file is {"side": pixels, "names": [...], "sheet": base64 of a WebP}: the thumbnails lie row by row in one picture,
`COLUMNS` in a row. Names are those of the files, without their folders.
"""

from __future__ import annotations

import binascii
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusionad.data import resize
from diffusionad.errors import BundleError
from diffusionad.structures import Neighbour, Picture

__all__ = ["COLUMNS", "FILE", "MOST", "SIDE", "Neighbours"]

FILE = "good.json"
"""Name inside the bundle."""

MOST = 96
"""Pictures kept, evenly spread over the training pictures: 0.5 MB at worst."""
SIDE = 96
COLUMNS = 12
COMPARED = 32
"""Side at which pictures are compared: place, shape and light count, a small defect does not."""

_QUALITY = 80
_LARGEST_FILE = 4_000_000
Pixels = NDArray[np.uint8]


class Neighbours:
    """Small good pictures with their names.

    Args:
        names: [N] of the files.
        thumbnails: [N, SIDE, SIDE, 3] uint8.
    """

    def __init__(self, names: Sequence[str], thumbnails: Pixels) -> None:
        self._names = tuple(names)
        self._thumbnails = thumbnails
        self._looks = np.stack([_look(thumbnail) for thumbnail in thumbnails])

    @classmethod
    def choose(cls, names: Sequence[str], pictures: Sequence[Picture]) -> Neighbours:
        """Keep at most `MOST` of the pictures ([H, W, C] uint8 or uint16 each, at least one), evenly spread."""
        chosen = range(0, len(pictures), max(1, -(-len(pictures) // MOST)))
        return cls([names[i] for i in chosen], np.stack([_thumbnail(pictures[i]) for i in chosen]))

    def nearest(self, picture: Picture) -> Neighbour:
        """The kept picture most like `picture` ([H, W, C] at working size): least mean difference in grey levels."""
        apart = self._looks - _look(_thumbnail(picture))
        differences = np.abs(apart, out=apart).mean(axis=(1, 2, 3))
        index = int(differences.argmin())
        return Neighbour(self._names[index], float(differences[index]))

    def thumbnail(self, name: str) -> Pixels:
        """The small picture [SIDE, SIDE, 3] of a name that `nearest` gave."""
        thumbnail: Pixels = self._thumbnails[self._names.index(name)]
        return thumbnail

    def to_text(self) -> str:
        """The file's content; `read` reverses it, but for what WebP loses."""
        rows = math.ceil(len(self._names) / COLUMNS)
        sheet = np.zeros((rows * SIDE, COLUMNS * SIDE, 3), np.uint8)
        for index, thumbnail in enumerate(self._thumbnails):
            sheet[_place(index)] = thumbnail
        stream = BytesIO()
        Image.fromarray(sheet).save(stream, format="webp", quality=_QUALITY)
        content = {"side": SIDE, "names": self._names, "sheet": b64encode(stream.getvalue()).decode("ascii")}
        return json.dumps(content, ensure_ascii=True) + "\n"

    @classmethod
    def read(cls, path: Path) -> Neighbours:
        """Read a file.

        Raises:
            BundleError: it is not such a file.
        """
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise ValueError("it is larger than any such file")
            stored = json.loads(path.read_text(encoding="utf-8"))
            names = stored["names"]
            if not (isinstance(names, list) and 0 < len(names) <= MOST and all(isinstance(n, str) for n in names)):
                raise ValueError("its names are no list of names")
            sheet = Image.open(BytesIO(b64decode(stored["sheet"], validate=True)), formats=["WEBP"])
            if sheet.size != (COLUMNS * SIDE, math.ceil(len(names) / COLUMNS) * SIDE):  # before it is decoded
                raise ValueError("its pictures do not have the size of their number")
            pixels = np.asarray(sheet.convert("RGB"))
        except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
            raise BundleError(f"{path} cannot be read ({error}): copy the bundle anew.") from None
        return cls(names, np.stack([pixels[_place(index)] for index in range(len(names))]))


def _place(index: int) -> tuple[slice, slice]:
    row, column = divmod(index, COLUMNS)
    return slice(row * SIDE, (row + 1) * SIDE), slice(column * SIDE, (column + 1) * SIDE)


def _thumbnail(picture: Picture) -> Pixels:
    small = resize(picture, (SIDE, SIDE))
    if small.shape[2] != 3:  # a stack under several lights: the mean of its pages
        small = np.repeat(small.mean(axis=2, keepdims=True).astype(small.dtype), 3, axis=2)
    return (small >> 8).astype(np.uint8) if small.dtype == np.uint16 else small.astype(np.uint8)


def _look(thumbnail: Pixels) -> NDArray[np.float32]:
    return resize(thumbnail, (COMPARED, COMPARED)).astype(np.float32)
