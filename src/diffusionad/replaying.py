"""Stored verdicts against the same pictures judged once more: does the bundle still say what it said?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diffusionad.errors import DataError
from diffusionad.inspector import Inspector
from diffusionad.report.records import read_verdicts
from diffusionad.structures import Verdict

__all__ = ["ACROSS", "Difference", "Replay", "replay"]

ACROSS = 1e-3
"""How far scores may lie apart on another runtime or processor; on the same one they are equal to the last bit."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One picture that is judged otherwise now.

    Attributes:
        path: its file.
        what: bundle, unreadable, verdict, score, or regions; the first of these that differs.
        before, after: as they were told to people.
    """

    path: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it.

    Attributes:
        same: pictures judged as before.
        rounded: of these, those whose score differs within `ACROSS`, on another runtime or processor.
        differences: all others.
        elsewhere: pictures first judged on another runtime or processor.
    """

    same: int
    rounded: int
    differences: tuple[Difference, ...]
    elsewhere: int

    @property
    def exit_code(self) -> int:
        """3 when a picture can no longer be judged, else 1 when something differs, else 0."""
        kinds = {difference.what for difference in self.differences}
        return 3 if "unreadable" in kinds else 1 if kinds else 0


def replay(verdicts: Path, inspector: Inspector, *, seen: Callable[[int], None] = lambda count: None) -> Replay:
    """Judge the pictures of stored verdicts once more, where they lie now. Nothing is written.

    Args:
        verdicts: what `predict` wrote.
        inspector: the bundle that judged; with the same region filter and scale.
        seen: called with the number of pictures done.

    Raises:
        DataError: a line is no verdict, or there is none.
    """
    same = rounded = elsewhere = count = 0
    differences: list[Difference] = []
    for before, _ in read_verdicts(verdicts):
        count += 1
        after = inspector(before.path, before.group)
        moved = before.runtime != after.runtime
        elsewhere += moved
        found = next(_differences(before, after, ACROSS if moved else 0.0), None)
        if found is None:
            same += 1
            rounded += before.score != after.score and after.verdict != "error"
        else:
            differences.append(Difference(before.path, *found))
        seen(count)
    if not count:
        raise DataError(
            f"{verdicts} holds no verdict: give the verdicts.jsonl that `predict` wrote.", code="data.verdicts"
        )
    return Replay(same, rounded, tuple(differences), elsewhere)


def _differences(before: Verdict, after: Verdict, tolerance: float) -> Iterator[tuple[str, str, str]]:
    if before.bundle != after.bundle:
        yield "bundle", before.bundle or "unknown", after.bundle
    if after.verdict == "error" and before.verdict != "error":
        yield "unreadable", before.verdict, after.error or ""
    if before.verdict != after.verdict:
        yield "verdict", _told(before), _told(after)
    if after.verdict == "error":
        return
    if abs(before.score - after.score) > tolerance:
        yield "score", repr(before.score), repr(after.score)
    if not tolerance and before.regions != after.regions:
        yield "regions", str(len(before.regions)), str(len(after.regions))


def _told(verdict: Verdict) -> str:
    return verdict.verdict if verdict.verdict == "error" else f"{verdict.verdict} {verdict.score:.4f}"
