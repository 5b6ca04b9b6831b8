"""The pictures that operators have no part in: the data set a bundle was trained on, and the frozen set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusionad.bundle import Bundle
from diffusionad.data import find_samples
from diffusionad.errors import DataError, PictureError, UsageError
from diffusionad.feedback.journal import Journal
from diffusionad.feedback.table import look
from diffusionad.files import file_hash
from diffusionad.structures import Sample

__all__ = ["Place", "place_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where these pictures are.

    Attributes:
        samples: of the data set.
        root, layout, category: how it is found.
        frozen: defective and good pictures that only measure, by the sha256 of their content.
    """

    samples: tuple[Sample, ...]
    root: Path
    layout: str
    category: str | None
    frozen: dict[str, Sample]


def place_of(
    journal: Journal, data: Path | None, frozen: Path | None, layout: str, category: str | None, by: str
) -> Place:
    """Find the data set and the frozen set. The first round fixes the frozen set; later ones remember where both were.

    Args:
        journal: held by this process alone.
        data: data set the bundle was trained on; None: as last time.
        frozen: data set whose test pictures are the frozen set; None: as last time, at first those of `data`.
        layout, category: how to read `data`.
        by: who asks.

    Raises:
        UsageError: no data set is known yet.
        DataError: the frozen set has no good or no defective picture, or a picture of it cannot be read, is gone or was
            changed.
    """
    known = journal.of("place")[-1:]
    if not known and data is None:
        raise UsageError(
            "Give --data, the data set this bundle was trained on: fine-tuning goes on with its good pictures. "
            "It is remembered."
        )
    place: dict[str, Any] = dict(known[0]["place"]) if known else {"frozen": None}
    if data is not None:
        place |= {"data": str(data.resolve()), "layout": layout, "category": category}
    if frozen is not None:
        place["frozen"] = str(frozen.resolve())
    samples = find_samples(Path(place["data"]), place["layout"], place["category"])
    apart, root = place["frozen"], place["frozen"] or place["data"]
    tests = find_samples(Path(apart), "auto", place["category"]) if apart else samples
    chosen = _frozen(journal, _tests(tests, journal.bundle, root), root, by)
    if not known or place != known[0]["place"]:
        journal.record({"event": "place", "by": by, "place": place})
    return Place(tuple(samples), Path(place["data"]), place["layout"], place["category"], chosen)


def _frozen(journal: Journal, found: dict[str, Sample], root: str, by: str) -> dict[str, Sample]:
    """Those of the test pictures that were frozen, which all must be there; the first time all of them."""
    fixed = journal.of("frozen")
    if not fixed:
        _check_judgeable(list(found.values()), journal.bundle, root)
        journal.record({"event": "frozen", "by": by, "pictures": {name: one.defect for name, one in found.items()}})
        return found
    pictures: dict[str, str] = fixed[0]["pictures"]
    if gone := [name for name in pictures if name not in found or found[name].defect != pictures[name]]:
        raise DataError(
            f"{len(gone)} of {len(pictures)} pictures of the frozen set are no test pictures of {root!r} any more, or "
            f"were changed (the first is a picture of {pictures[gone[0]]!r} with the sha256 {gone[0][:16]}): bring "
            "them back. A frozen set that changes compares nothing.",
            code="feedback.frozen",
        )
    return {name: found[name] for name in pictures}


def _tests(samples: Sequence[Sample], bundle: Bundle, root: str) -> dict[str, Sample]:
    """Test pictures by content, without those that trained the bundle; of the same content one counts."""
    learned, found = set(bundle.origin.hashes), dict[str, Sample]()
    for sample in samples:
        if sample.split != "test" or not sample.path.is_file():
            continue
        name = file_hash(sample.path)
        if name[:16] in learned:
            continue
        if found.setdefault(name, sample).is_good != sample.is_good:
            raise DataError(
                f"{str(sample.path)!r} and {str(found[name].path)!r} in {root!r} are the same picture, once good and "
                "once defective: decide which holds.",
                code="feedback.contradiction",
            )
    return found


def _check_judgeable(samples: Sequence[Sample], bundle: Bundle, root: str) -> None:
    """Before they are frozen: there are good and defective pictures, and all can be read."""
    good = sum(sample.is_good for sample in samples)
    for count, what in ((good, "good"), (len(samples) - good, "defective")):
        if not count:
            raise DataError(
                f"{root!r} has no {what} test picture left that did not train the bundle, so nobody could see what a "
                "candidate does to them: give --frozen, a data set with good and defective test pictures.",
                code="feedback.no_gate",
            )
    for sample in samples:
        try:
            look(sample.path, bundle)
        except PictureError as error:
            raise DataError(
                f"A test picture for the frozen set cannot be judged: {error} Mend it, or take it out of {root!r}.",
                code="feedback.unreadable",
            ) from None
