"""Decoded pictures on disk, mapped into memory: a set larger than memory streams, and a second run decodes nothing.

One file a picture, named by the sha256 of the picture's file together with everything that decides its pixels. Files
are written beside their place and renamed, so nobody sees half of one; they are not synced, for a file that a crash
damaged is told by its own sha256 when it is opened, and made anew. One process at a time makes files; any number may
read them.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from diffusionad.errors import ResourceError
from diffusionad.files import refused
from diffusionad.structures import Picture

__all__ = ["POLICY", "Cache", "Entry", "Pictures"]

POLICY = 2
"""Raised when `data/pictures.py`, `fit.py` or `resize.py` give other pixels: older files no longer count."""

_HEAD = 4096  # bytes of JSON before the pixels, a page, so that the pixels can be mapped
_TYPES = ("|u1", "<u2")


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded picture in the cache.

    Attributes:
        path: its file.
        shape: [H, W, C].
        dtype: "|u1" or "<u2".
        native: (H, W) of the picture's own file.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: str
    native: tuple[int, int]

    def open(self) -> Picture:
        """The pixels, read only, mapped: what is not looked at is not read.

        Raises:
            ResourceError: the file has gone since it was checked.
        """
        try:
            mapped: Picture = np.memmap(self.path, self.dtype, "r", _HEAD, self.shape)
        except (OSError, ValueError):
            raise ResourceError(
                f"{self.path} has gone or was cut off while it was in use: leave the cache alone during a run, "
                "and run the same command again.",
                code="cache.gone",
            ) from None
        return mapped


class Cache:
    """Decoded pictures under a folder.

    Args:
        folder: made when needed; it may be deleted whenever no run uses it.
        settings: everything beside the file's content that decides the pixels, as JSON values.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        versions = {"policy": POLICY, "pillow": PIL.__version__}
        self._settings = json.dumps({**settings, **versions}, sort_keys=True)

    def entry(self, digest: str, decode: Callable[[], tuple[Picture, tuple[int, int]]]) -> Entry:
        """The entry of the file whose sha256 is `digest`; `decode` gives (pixels, native size) where there is none.

        Raises:
            PictureError: whatever `decode` raises; nothing is stored then.
            ResourceError: the disk is full, or the folder cannot be written.
        """
        key = sha256(f"{digest} {self._settings}".encode()).hexdigest()
        path = self._folder / key[:2] / key
        found = _checked(path)
        if found is None:
            with self._locked():
                found = _checked(path) or _written(path, *decode())  # another process may have made it meanwhile
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            held = (self._folder / ".lock").open("w")
        except OSError as error:
            told = refused(self._folder, error)
            raise ResourceError(f"{told} Give another folder with --cache.", code=told.code) from error
        with held as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Pictures(Sequence["Picture"]):
    """Pictures in memory or in the cache, one by one alike: [H, W, C] each."""

    def __init__(self, held: Sequence[Picture | Entry]) -> None:
        self._held = list(held)

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, index: Any) -> Any:
        """The picture at an index; some of them, as `Pictures`, for a slice."""
        if isinstance(index, slice):
            return Pictures(self._held[index])
        held = self._held[index]
        return held.open() if isinstance(held, Entry) else held

    def at(self, indices: Sequence[int]) -> Pictures:
        """Those at `indices`, in that order."""
        return Pictures([self._held[index] for index in indices])


def _checked(path: Path) -> Entry | None:
    """The entry at `path` when it is whole: its sha256 covers what it says of itself, and the pixels."""
    with suppress(FileNotFoundError):
        with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as stream:
            said = json.loads(stream.read(_HEAD))
            shape, native = tuple(map(int, said["shape"])), tuple(map(int, said["native"]))
            digest = sha256(_said(path.name, shape, said["dtype"], native))
            while block := stream.read(1 << 20):
                digest.update(block)
            if digest.hexdigest() == said["sha256"] and said["dtype"] in _TYPES:
                return Entry(path, (shape[0], shape[1], shape[2]), said["dtype"], (native[0], native[1]))
        if path.stat():
            logging.getLogger(__name__).warning("%s is damaged: the picture is decoded again.", path)
    return None


def _written(path: Path, picture: Picture, native: tuple[int, int]) -> Entry:
    height, width, channels = picture.shape
    shape = (height, width, channels)
    dtype = picture.dtype.newbyteorder("<").str
    pixels = np.ascontiguousarray(picture, dtype=dtype)
    digest = sha256(_said(path.name, shape, dtype, native))
    digest.update(pixels.data)
    said = {"shape": shape, "dtype": dtype, "native": native, "sha256": digest.hexdigest()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(json.dumps(said).encode().ljust(_HEAD))
            stream.write(pixels.data)
        temporary.replace(path)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Entry(path, shape, dtype, native)


def _said(name: str, shape: tuple[int, ...], dtype: str, native: tuple[int, ...]) -> bytes:
    return json.dumps([name, shape, dtype, native]).encode()
