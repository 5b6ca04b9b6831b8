"""The store beside a bundle: what operators said, every bundle there ever was, and a history that only grows.

<bundle>.feedback/
    history.jsonl           a line an event; each names the sha256 of the line before it
    data/<key>.json         a data version: all pictures, with hashes, who said so and when; named by its content
    pictures/<sha256>.*     copies of pictures and masks, named by their content
    versions/<key>/         bundles, named by their key
    runs/                   fine-tuning that was begun; the same command resumes it
"""

from __future__ import annotations

import fcntl
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
from diffusionad.files import file_hash, refused, write_bytes, write_file

__all__ = ["Store"]


class Store:
    """The store of the bundle in `folder`, which need not exist yet.

    Raises:
        BundleError: `folder` holds no bundle.
        DataError: the history was changed.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle: Bundle = load_bundle(folder)
        where = folder.resolve()
        self.folder = where.with_name(f"{where.name}.feedback")
        self._history = self.folder / "history.jsonl"
        self.history()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process. Raises UsageError, ResourceError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            held = (self.folder / ".lock").open("w")
        except OSError as error:
            raise refused(self.folder, error) from error
        with held as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"Another process works in {self.folder}: wait for it.") from None
            self.bundle = load_bundle(self.bundle.folder)  # it may have been switched while we waited
            yield

    def history(self) -> list[dict[str, Any]]:
        """All events, the oldest first. Raises DataError when a line was changed, removed or put in."""
        events: list[dict[str, Any]] = []
        before = ""
        for number, line in enumerate(self._lines(), 1):
            try:
                event = json.loads(line)
                holds = event["before"] == before
            except (ValueError, KeyError, TypeError):
                holds = False
            if not holds:
                raise DataError(
                    f"Line {number} of {self._history} is not what was written there: the history was changed. "
                    "Bring back a copy of it.",
                    code="feedback.history",
                )
            events.append(event)
            before = sha256(line).hexdigest()
        return events

    def record(self, event: str, **values: Any) -> None:
        """Append an event to the history, durably, whole or not at all. Raises ResourceError."""
        lines = self._lines()
        entry = {
            "event": event,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **values,
            "before": sha256(lines[-1]).hexdigest() if lines else "",
        }
        lines.append(json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogateescape"))
        write_bytes(self._history, b"".join(line + b"\n" for line in lines))

    def data(self) -> dict[str, Any] | None:
        """The latest data version with its `key`; None before the first. Raises DataError when it was changed."""
        keys = [event["data"] for event in self.history() if event["event"] == "data"]
        if not keys:
            return None
        path = self.folder / "data" / f"{keys[-1]}.json"
        if not path.is_file() or file_hash(path)[:16] != keys[-1]:
            raise DataError(f"{path} is missing or was changed: bring back a copy of it.", code="feedback.history")
        return {**json.loads(path.read_text(encoding="utf-8")), "key": keys[-1]}

    def keep_data(self, content: dict[str, Any]) -> str:
        """Write a data version under the name of its content and return its key. Raises ResourceError."""
        written = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogateescape")
        key = sha256(written).hexdigest()[:16]
        write_bytes(self.folder / "data" / f"{key}.json", written)
        return key

    def keep_picture(self, path: Path) -> str:
        """Copy a file into the store under the name of its content; the name. Raises ResourceError."""
        name = f"{file_hash(path)}{path.suffix.lower()}"
        kept = self.folder / "pictures" / name
        if not kept.is_file():
            write_file(kept, lambda temporary: shutil.copyfile(path, temporary) and None)
        return name

    def picture(self, name: str) -> Path:
        """Where a kept file lies. Raises DataError when it is missing or was changed."""
        path = self.folder / "pictures" / name
        if not path.is_file() or file_hash(path) != name.partition(".")[0]:
            raise DataError(f"{path} is missing or was changed: bring back a copy of it.", code="feedback.history")
        return path

    def keep_bundle(self, bundle: Bundle) -> Path:
        """Copy a bundle into versions/<key>, unless it is there; the folder. Raises ResourceError."""
        kept = self.folder / "versions" / bundle.key
        if not kept.is_dir() or load_bundle(kept).key != bundle.key:
            install_bundle(bundle, kept)
        return kept

    def switch(self, event: str, to: str, **values: Any) -> Bundle:
        """Put versions/<to> in the place of the bundle in use, which is kept; record it. Raises ResourceError."""
        old = self.bundle
        self.keep_bundle(old)
        self.bundle = install_bundle(load_bundle(self.folder / "versions" / to), old.folder)
        self.record(event, **values, old=old.key, new=to)
        return self.bundle

    def previous(self) -> str:
        """Key of the bundle before the last promotion that still holds.

        Raises:
            UsageError: there was none.
        """
        stack: list[str] = []
        for event in self.history():
            if event["event"] == "promoted":
                stack.append(event["old"])
            elif event["event"] == "rolled_back" and stack:
                stack.pop()
        if not stack:
            raise UsageError(f"Nothing was promoted into {self.bundle.folder}: there is nothing to roll back to.")
        return stack[-1]

    def _lines(self) -> list[bytes]:
        try:
            return self._history.read_bytes().splitlines() if self._history.is_file() else []
        except OSError as error:
            raise DataError(f"{self._history} cannot be read: {error.strerror}.", code="feedback.history") from None
