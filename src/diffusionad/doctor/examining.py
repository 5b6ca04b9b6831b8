"""From a data set's folder to its findings. A further check is a function and a row of `CHECKS`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusionad.data import find_samples
from diffusionad.doctor import filing, looks, masks, storage, twins
from diffusionad.doctor.findings import Check, Finding, Seen
from diffusionad.doctor.looking import Look, look_at_all

__all__ = ["CHECKS", "Examination", "examine"]

_log = logging.getLogger(__name__)

CHECKS: tuple[Check, ...] = (
    filing.find_unreadable,
    filing.find_few,
    looks.find_uniform,
    looks.find_blank,
    twins.find_copies,
    twins.find_contradictions,
    twins.find_near_copies,
    looks.find_suspects,
    looks.find_blur,
    looks.find_exposure,
    storage.find_mixed_sizes,
    storage.find_mixed_channels,
    storage.find_mixed_depths,
    storage.find_mixed_profiles,
    storage.find_mixed_rotations,
    storage.find_unused_bits,
    masks.find_missing_masks,
    masks.find_masks_amiss,
    filing.find_one_session,
    filing.find_leftovers,
)
"""Every check, in the order of its findings among those of one severity."""

_ORDER = ("broken", "risk", "note")


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found in a data set.

    Attributes:
        root: its folder.
        category: product class.
        findings: broken first, then risks, then notes.
        seen: the records behind them; their thumbnails take 12 KB a picture.
    """

    root: Path
    category: str
    findings: tuple[Finding, ...]
    seen: Seen

    @property
    def usable(self) -> bool:
        """Whether there are enough readable good pictures to learn from, 10."""
        return len(self.seen.training) >= filing.FEWEST

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings, 2 unusable."""
        return 2 if not self.usable else 1 if self.findings else 0

    @property
    def counts(self) -> dict[str, int]:
        """Pictures by what they are: training, test_good, test_defective, unreadable."""
        return {
            "training": len(self.seen.training),
            "test_good": len(self.seen.good) - len(self.seen.training),
            "test_defective": len(self.seen.defective),
            "unreadable": len(self.seen.unread),
        }

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "data": str(self.root),
            "category": self.category,
            "usable": self.usable,
            "pictures": self.counts,
            "findings": [finding.to_json(self.root) for finding in self.findings],
        }


def examine(
    root: Path,
    *,
    layout: str = "auto",
    category: str | None = None,
    false_alarms: float = 0.01,
    workers: int | None = None,
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> Examination:
    """Look at every picture of a data set, once, and run all checks.

    Memory is one decoded picture a worker and about 13 KB for each picture of the set.

    Args:
        root: folder of the data set.
        layout, category: as in `diffusionad.data.find_samples`.
        false_alarms: share of good pictures that may be called anomalous, strictly in (0, 1).
        workers: threads; None takes one for each processor.
        seen: called with the pictures done and their total.

    Raises:
        DataError, LayoutError, UsageError: see `find_samples`. What is in a picture raises nothing.
    """
    samples = find_samples(root, layout, category)
    results = list(look_at_all(samples, workers=workers, seen=lambda done: seen(done, len(samples))))
    whole = Seen(
        root=root,
        looks=[one for one in results if isinstance(one, Look)],
        unread=[one for one in results if not isinstance(one, Look)],
        hidden=filing.leftovers_under(root),
        false_alarms=false_alarms,
    )
    found = [finding for check in CHECKS for finding in check(whole)]
    _log.info("%d findings in %d pictures of %r.", len(found), len(samples), str(root))
    found.sort(key=lambda finding: _ORDER.index(finding.severity))
    return Examination(root, samples[0].category, tuple(found), whole)
