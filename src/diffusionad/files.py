"""Writing that survives a crash: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from diffusionad.errors import ResourceError, UsageError

__all__ = ["alone_in", "file_hash", "refused", "sync", "write_bytes", "write_file", "write_json", "write_text"]


def write_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a temporary file beside `path`, then put it in place, whole or not at all.

    Raises:
        ResourceError: the disk is full or refuses to write; what stood at `path` before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def refused(path: Path, error: OSError) -> ResourceError:
    """What to tell a person when the system will not write `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(
            f"The disk is full: {path} could not be written. What stood there before is kept; "
            "free some space and run the same command again.",
            code="disk.full",
        )
    return ResourceError(f"{path} cannot be written: {error.strerror or error}.", code="disk.refused")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. Raises as `write_file`."""
    write_file(path, lambda temporary: _dump(temporary, content))


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text to `path`, whole or not at all. Raises as `write_file`."""
    write_bytes(path, content.encode("utf-8", "surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path`, whole or not at all. NaN is refused (ValueError)."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def alone_in(folder: Path, otherwise: str) -> Iterator[None]:
    """One process at a time in a folder, which is made; the lock goes with the process, however it ends.

    Raises:
        UsageError: another process is in it; says `otherwise`.
        ResourceError: the folder cannot be written.
    """
    import fcntl  # not on Windows, where bundles judge all the same

    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = (folder / ".lock").open("w")
    except OSError as error:
        raise refused(folder, error) from error
    with held as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(otherwise) from None
        yield


def file_hash(path: Path) -> str:
    """sha256 of a file's content, in hexadecimal, read in blocks of 1 MiB."""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _dump(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def sync(path: Path) -> None:
    """Make what was written to a file or folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
