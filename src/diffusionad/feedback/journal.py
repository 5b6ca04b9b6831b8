"""The journal beside a bundle: what operators said and what came of it, and every bundle there ever was.

<bundle>.feedback/
    journal.jsonl           a line an event, the oldest first; each names the sha256 of the line before it
    pictures/<sha256>.*     copies of pictures and masks, named by their content
    versions/<key>/         bundles, byte by byte, named by their key
    runs/                   fine-tuning, which the same command resumes; may be deleted when none is going on
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from diffusionad.bundle import Bundle, install_bundle, load_bundle
from diffusionad.errors import DataError, UsageError
from diffusionad.files import alone_in, file_hash, write_bytes, write_file

__all__ = ["Journal"]

_DIGITS = 16  # of a sha256, where it only has to tell apart what one journal holds


class Journal:
    """The journal of the bundle in `folder`; it need not exist yet.

    Attributes:
        folder: where it lies.
        bundle: the bundle in use.
        events: all there were, the oldest first.

    Raises:
        BundleError: `folder` holds no bundle.
        DataError: the journal was changed.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle: Bundle = load_bundle(folder)
        where = folder.resolve()
        self.folder = where.with_name(f"{where.name}.feedback")
        self._path = self.folder / "journal.jsonl"
        self._lines: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self._read()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time, and what a crash left half done is settled first. Raises UsageError, ResourceError."""
        with alone_in(self.folder, f"Another process works in {self.folder}: wait for it."):
            self.bundle = load_bundle(self.bundle.folder)
            self._read()
            self._settle()
            yield

    def record(self, *events: dict[str, Any]) -> None:
        """Append events, durably, all or none; time and chain are added. Raises ResourceError."""
        lines, now = [*self._lines], datetime.now(UTC).isoformat(timespec="seconds")
        for event in events:
            entry = {"at": now, **event, "before": _name(lines[-1]) if lines else ""}
            lines.append(json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogateescape"))
        write_bytes(self._path, b"".join(line + b"\n" for line in lines))
        self._read()

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of some kinds, the oldest first."""
        return [event for event in self.events if event["event"] in kinds]

    def told(self) -> dict[str, dict[str, Any]]:
        """What was last said of each picture, by the sha256 of its content."""
        return {event["picture"]: event for event in self.of("told")}

    @property
    def version(self) -> str | None:
        """Name of the data version: the chain up to the last thing said. None: nothing was said."""
        names = [_name(line) for line, event in zip(self._lines, self.events, strict=True) if event["event"] == "told"]
        return names[-1] if names else None

    def keep_file(self, path: Path) -> str:
        """Copy a file into the journal's folder under the name of its content; the name. Raises ResourceError."""
        name = f"{file_hash(path)}{path.suffix.lower()}"
        kept = self.folder / "pictures" / name
        if not kept.is_file() or file_hash(kept) != kept.stem:
            write_file(kept, lambda temporary: _copy(path, temporary))
        return name

    def file(self, name: str) -> Path:
        """Where a kept file lies. Raises DataError when it is missing or was changed."""
        path = self.folder / "pictures" / name
        if not path.is_file() or file_hash(path) != path.stem:
            raise DataError(f"{path} is missing or was changed: bring back a copy of it.", code="feedback.journal")
        return path

    def switch(self, event: str, to: Bundle, **values: Any) -> None:
        """Put `to` in the place of the bundle in use, and say so; both are kept, byte by byte.

        The intention is written before, so that a crash in between is told from a bundle that somebody changed.

        Raises:
            ResourceError: the disk is full; the bundle in use is untouched.
        """
        old = self.bundle
        kept = self._keep(to)
        self._keep(old)
        self.record({"event": "switching", "for": event, "old": old.key, "new": to.key, **values})
        self.bundle = install_bundle(load_bundle(kept), old.folder)
        self.record({"event": event, "old": old.key, "new": to.key, **values})

    def previous(self) -> Bundle:
        """The bundle before the last promotion that still holds.

        Raises:
            UsageError: there was none.
            BundleError: it was damaged.
        """
        stack: list[str] = []
        for event in self.of("promoted", "rolled back"):
            if event["event"] == "promoted":
                stack.append(event["old"])
            elif stack:
                stack.pop()
        if not stack:
            raise UsageError(f"Nothing was promoted into {self.bundle.folder}: there is nothing to roll back to.")
        return load_bundle(self.folder / "versions" / stack[-1])

    def _keep(self, bundle: Bundle) -> Path:
        kept = self.folder / "versions" / bundle.key
        if not kept.is_dir() or load_bundle(kept).key != bundle.key:
            install_bundle(bundle, kept)
        return kept

    def _settle(self) -> None:
        """After a crash between two lines: what is in use says whether the switch took place."""
        if not self.events or self.events[-1]["event"] != "switching":
            return
        last = {name: value for name, value in self.events[-1].items() if name not in ("at", "before", "event", "for")}
        done = self.bundle.key == last["new"]
        self.record({"event": self.events[-1]["for"] if done else "not switched", **last})

    def _read(self) -> None:
        self._lines, self.events = [], []
        try:
            lines = self._path.read_bytes().splitlines() if self._path.is_file() else []
        except OSError as error:
            raise DataError(f"{str(self._path)!r} cannot be read: {error.strerror}.", code="feedback.journal") from None
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
                whole = isinstance(event["event"], str)
                whole &= event["before"] == (_name(self._lines[-1]) if self._lines else "")
            except (ValueError, KeyError, TypeError):
                whole = False
            if not whole:
                raise DataError(
                    f"Line {number} of {str(self._path)!r} or the one before it is not what was written there: bring "
                    "back a copy of the journal.",
                    code="feedback.journal",
                )
            self._lines.append(line)
            self.events.append(event)


def _name(line: bytes) -> str:
    return sha256(line).hexdigest()[:_DIGITS]


def _copy(path: Path, to: Path) -> None:
    shutil.copyfile(path, to)
