"""Data versions: which picture has which use. The use follows from the picture's hash alone, so nobody chooses it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from diffusionad.data import find_samples
from diffusionad.errors import DataError
from diffusionad.feedback.store import Store
from diffusionad.feedback.table import Remark
from diffusionad.files import file_hash
from diffusionad.structures import Confirmed, Sample

__all__ = ["add_remarks", "confirmed_of", "defects_of", "frozen_of", "role_of"]


def role_of(name: str, is_good: bool, sampled: bool) -> str:
    """The use of a picture, by its sha256: a third is frozen, for ever; of the good ones that were drawn without looking
    another third sets the threshold; all others train.
    """
    third = int(name[:12], 16) % 3
    if third == 0:
        return "frozen"
    return "calibration" if third == 1 and is_good and sampled else "training"


def add_remarks(
    store: Store,
    before: dict[str, Any] | None,
    remarks: Sequence[Remark],
    *,
    data: Path | None,
    layout: str,
    category: str | None,
    by: str,
    sampled: bool,
    correct: bool,
) -> dict[str, Any]:
    """The next data version: everything of the one before, and the remarks. Pictures and masks are copied.

    Raises:
        DataError: a picture of the data set or one that trained; an earlier verdict that says the opposite, unless
            `correct`.
    """
    place, tests = _place(store, before, data, layout, category)
    entries = {entry["hash"]: entry for entry in (before or {"pictures": []})["pictures"]}
    _check_known(store, remarks, entries, tests, place, correct)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for remark in remarks:
        earlier = entries.get(remark.hash)
        if remark.hash in tests or (earlier and earlier["is_good"] == remark.is_good and not remark.mask):
            continue
        mask = store.keep_picture(remark.mask) if remark.mask else None
        if earlier and earlier["is_good"] == remark.is_good and earlier["mask"] == mask:
            continue
        entries[remark.hash] = {
            "hash": remark.hash,
            "is_good": remark.is_good,
            "role": earlier["role"] if earlier and earlier["role"] == "frozen" else None,
            "file": store.keep_picture(remark.path),
            "mask": mask,
            "note": remark.note,
            "sampled": sampled,
            "by": by,
            "at": now,
        }
        entries[remark.hash]["role"] = entries[remark.hash]["role"] or role_of(remark.hash, remark.is_good, sampled)
    return {
        "schema_version": 1,
        "parent": before["key"] if before else None,
        "category": store.bundle.origin.category,
        "data": place,
        "pictures": [entries[name] for name in sorted(entries)],
        "tests": [tests[name] for name in sorted(tests)],
    }


def confirmed_of(store: Store, version: dict[str, Any]) -> Confirmed:
    """Good pictures of a version that train and that set the threshold. Raises DataError when a file is gone."""
    good = [entry for entry in version["pictures"] if entry["is_good"]]
    training, calibration = (
        tuple(store.picture(entry["file"]) for entry in good if entry["role"] == role)
        for role in ("training", "calibration")
    )
    return Confirmed(training, calibration)


def defects_of(store: Store, version: dict[str, Any]) -> list[Sample]:
    """Defective pictures of a version that train. Raises DataError when a file is gone."""
    return [
        Sample(
            store.picture(entry["file"]),
            "train",
            version["category"],
            "defect",
            store.picture(entry["mask"]) if entry["mask"] else None,
        )
        for entry in version["pictures"]
        if not entry["is_good"] and entry["role"] == "training"
    ]


def frozen_of(store: Store, version: dict[str, Any]) -> list[tuple[Path, bool, bool]]:
    """(path, is good, was picked by an operator) of what is kept out of everything but the gate.

    Raises:
        DataError: a file is gone or was changed.
    """
    frozen = [
        (store.picture(entry["file"]), bool(entry["is_good"]), not entry["sampled"])
        for entry in version["pictures"]
        if entry["role"] == "frozen"
    ]
    for entry in version["tests"]:
        path = Path(entry["path"])
        if not path.is_file() or file_hash(path) != entry["hash"]:
            raise DataError(
                f"{entry['path']!r} belongs to the frozen set and is gone or changed: bring it back.",
                code="feedback.frozen",
            )
        frozen.append((path, bool(entry["is_good"]), False))
    return frozen


def _place(
    store: Store, before: dict[str, Any] | None, data: Path | None, layout: str, category: str | None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Where the data set is, and its test pictures by hash: those of the first time, which stay frozen."""
    if before is not None:
        place = before["data"] if data is None else {**before["data"], "root": str(data.resolve())}
        return place, {entry["hash"]: entry for entry in before["tests"]}
    assert data is not None  # noqa: S101  (the caller checked)
    seen, tests = set(store.bundle.origin.hashes), {}
    for sample in find_samples(data, layout, category):
        if sample.split == "test":
            name = file_hash(sample.path)
            if name[:16] not in seen:
                path = str(sample.path.resolve())
                tests[name] = {"hash": name, "path": path, "is_good": sample.is_good}
    return {"root": str(data.resolve()), "layout": layout, "category": category}, tests


def _check_known(
    store: Store,
    remarks: Sequence[Remark],
    entries: dict[str, dict[str, Any]],
    tests: dict[str, dict[str, Any]],
    place: dict[str, Any],
    correct: bool,
) -> None:
    learned = set(store.bundle.origin.hashes)
    samples = find_samples(Path(place["root"]), place["layout"], place["category"])
    good = {file_hash(sample.path) for sample in samples if sample.split == "train" and sample.is_good}
    for remark in remarks:
        shown, word = repr(str(remark.path)), "good" if remark.is_good else "anomalous"
        earlier = entries.get(remark.hash)
        if earlier is None and (remark.hash in good or remark.hash[:16] in learned):
            advice = (
                "it teaches nothing new; delete its row"
                if remark.is_good
                else "if it is defective, take it out of the data set and train anew"
            )
            raise DataError(
                f"{shown} already is a picture that this bundle learned from or is calibrated with: {advice}.",
                code="feedback.trained_on",
            )
        if earlier and earlier["is_good"] != remark.is_good and not correct:
            raise DataError(
                f"{shown} is called {word}, and {earlier['by']} said the opposite on {earlier['at'][:10]}: give "
                "--correct if the new verdict holds.",
                code="feedback.contradiction",
            )
        if remark.hash in tests and tests[remark.hash]["is_good"] != remark.is_good:
            raise DataError(
                f"{shown} is called {word}; as a test picture of the data set it is the opposite: decide which holds.",
                code="feedback.contradiction",
            )
