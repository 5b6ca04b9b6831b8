"""What a check is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from diffusionad.doctor.looking import Look, Unread

__all__ = ["Check", "Finding", "Seen", "Severity", "counted"]

Severity = Literal["broken", "risk", "note"]
"""broken: training or figures go wrong; risk: they may; note: good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, in words for a person.

    Attributes:
        code: stable short name for machines, such as ``picture.truncated``.
        severity: broken, risk or note.
        sentence: what was found, with numbers.
        advice: what to do.
        paths: the files concerned, the most telling first; empty where the whole set is meant.
        remarks: why each of `paths` is here, in a few words; empty, or as long as `paths`.
    """

    code: str
    severity: Severity
    sentence: str
    advice: str
    paths: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.remarks and len(self.remarks) != len(self.paths):
            raise ValueError(f"{self.code} has {len(self.paths)} paths and {len(self.remarks)} remarks.")

    def rows(self, root: Path) -> Iterator[tuple[str, str]]:
        """(path relative to `root`, remark) of each file; a remark may be empty."""
        for index, path in enumerate(self.paths):
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            yield str(shown), self.remarks[index] if self.remarks else ""

    def to_json(self, root: Path) -> dict[str, Any]:
        """As plain JSON values, with every file."""
        files = [{"path": path, "remark": remark} for path, remark in self.rows(root)]
        return {
            "code": self.code,
            "severity": self.severity,
            "count": len(self.paths),
            "sentence": self.sentence,
            "advice": self.advice,
            "files": files,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """A data set after every picture was looked at.

    Attributes:
        root: the data set's folder.
        looks: readable pictures, sorted by path.
        unread: pictures that cannot be read.
        hidden: files that an operating system left behind.
        false_alarms: share of good pictures that may be called anomalous, strictly in (0, 1).
    """

    root: Path
    looks: Sequence[Look]
    unread: Sequence[Unread]
    hidden: Sequence[Path]
    false_alarms: float

    @property
    def training(self) -> list[Look]:
        """Good pictures that would be learned from."""
        return [look for look in self.looks if look.sample.is_good and look.sample.split == "train"]

    @property
    def good(self) -> list[Look]:
        """Good pictures of both splits."""
        return [look for look in self.looks if look.sample.is_good]

    @property
    def defective(self) -> list[Look]:
        """Pictures with a defect."""
        return [look for look in self.looks if not look.sample.is_good]


Check: TypeAlias = Callable[[Seen], Iterator[Finding]]


def counted(count: int, what: str = "picture", *, one: str = "is", many: str = "are") -> str:
    """'1 picture is' or '3 pictures are'."""
    return f"{count} {what} {one}" if count == 1 else f"{count} {what}s {many}"
