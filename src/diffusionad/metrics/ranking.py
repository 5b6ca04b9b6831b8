"""AUROC, average precision and F1-max, exact, with ties counted as scikit-learn counts them.

Everything is computed at the defective scores only: between two of them the number of hits stands still, so precision,
F1 and the area under the curves are already decided by how many good scores lie above and level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.errors import DataError
from diffusionad.metrics.tallies import Tally, tally

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from diffusionad.metrics.tallies import Values

__all__ = ["Steps", "auroc", "average_precision", "f1_max", "steps"]


@dataclass(frozen=True, slots=True)
class Steps:
    """Hits and false alarms as the threshold falls from one defective score to the next.

    Attributes:
        thresholds: [N] the distinct defective scores, falling; "anomalous" here means score >= threshold.
        added: [N] int64, defective scores equal to the threshold.
        alarms_above: [N] int64, good scores > threshold.
        alarms: [N] int64, good scores >= threshold.
        defective, good: how many scores there are of each.
    """

    thresholds: Values
    added: NDArray[np.int64]
    alarms_above: NDArray[np.int64]
    alarms: NDArray[np.int64]
    defective: int
    good: int

    @property
    def hits(self) -> NDArray[np.int64]:
        """[N] int64, defective scores >= threshold."""
        return np.cumsum(self.added)

    def auroc(self) -> float:
        """P(defective > good) + P(equal) / 2 over all pairs (Mann-Whitney), which is the area under the ROC curve."""
        level = (self.alarms_above.astype(np.float64) + self.alarms) / 2
        return 1 - float(np.sum(self.added * level)) / self.defective / self.good

    def average_precision(self) -> float:
        """Sum over thresholds of precision times the recall gained there."""
        precision = self.hits / (self.hits + self.alarms)
        return float(np.sum(precision * self.added)) / self.defective

    def f1_max(self) -> tuple[float, float]:
        """The highest 2 hits / (2 hits + false alarms + misses), and the highest threshold that reaches it."""
        f1 = 2 * self.hits / (self.hits + self.alarms + self.defective)
        best = int(np.argmax(f1))
        return float(f1[best]), float(self.thresholds[best])


def steps(defective: Tally, good: Tally) -> Steps:
    """The steps between two tallies, neither of them empty."""
    thresholds = defective.values[::-1]
    return Steps(
        thresholds=thresholds,
        added=defective.counts[::-1],
        alarms_above=good.above(thresholds),
        alarms=good.at_least(thresholds),
        defective=defective.total,
        good=good.total,
    )


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that a defective picture scores higher than a good one, a tie counting half.

    Args:
        scores: [N] finite, higher is more anomalous.
        labels: [N] bool or 0/1, true is defective.

    Returns:
        0..1.

    Raises:
        DataError: shapes differ, a score is not finite, a label is neither 0 nor 1, or one kind of picture is missing.
    """
    return _read(scores, labels).auroc()


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean precision over the defective pictures, each at its own score. Arguments and errors as `auroc`."""
    return _read(scores, labels).average_precision()


def f1_max(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """The highest F1 and the threshold that reaches it, anomalous being score >= threshold.

    Of several such thresholds the highest is returned. It is chosen on the pictures it is measured on: a figure to
    compare with papers, never a threshold to work with. Arguments and errors as `auroc`.
    """
    return _read(scores, labels).f1_max()


def _read(scores: ArrayLike, labels: ArrayLike) -> Steps:
    score_array, label_array = np.asarray(scores, np.float64), np.asarray(labels)
    if score_array.ndim != 1 or score_array.shape != label_array.shape:
        raise DataError(
            f"Scores and labels are one number per picture; the shapes are {score_array.shape}, {label_array.shape}."
        )
    if wrong := int(np.count_nonzero(~np.isfinite(score_array))):
        raise DataError(f"{wrong} of {len(score_array)} scores are not finite: the pictures or the bundle are broken.")
    is_defective = label_array == 1
    if not np.array_equal(is_defective, label_array):
        raise DataError("Labels are 0 for good and 1 for defective; there are other values among them.")
    for kind, count in (("defective", np.count_nonzero(is_defective)), ("good", np.count_nonzero(~is_defective))):
        if not count:
            raise DataError(f"No {kind} picture among {len(score_array)}: telling the kinds apart cannot be measured.")
    return steps(tally(score_array[is_defective]), tally(score_array[~is_defective]))
