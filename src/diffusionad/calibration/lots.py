"""Which pictures of a lot to look at again, so that few of the list are good ones.

Benjamini and Hochberg, "Controlling the false discovery rate", 1995. Valid for conformal p-values, which share one
calibration set (Bates, Candes, Lei, Romano and Sesia, Annals of Statistics 2023, theorem 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffusionad.calibration.shares import exact, percent
from diffusionad.errors import CalibrationError

__all__ = ["Recheck", "recheck"]


@dataclass(frozen=True, slots=True)
class Recheck:
    """The pictures of a lot that stand out.

    Attributes:
        chosen: places in the lot, smallest p-value first.
        level: p-value up to which pictures were chosen; 0 when none was.
        requested: expected share of good pictures among the chosen, at most, 0..1.
        pictures: size of the lot.
        n: pictures of the calibration behind the p-values (the smallest group's).
    """

    chosen: tuple[int, ...]
    level: float
    requested: float
    pictures: int
    n: int

    def sentence(self) -> str:
        """What to do, in plain words."""
        if not self.chosen:
            return f"None of the {self.pictures} pictures stands out: nothing to recheck."
        these = f"these {len(self.chosen)}" if len(self.chosen) > 1 else "this one"
        return (
            f"Recheck {these} of {self.pictures}: on average at most {percent(self.requested)} of such lists are good "
            "pictures, as long as good pictures are taken like those of the calibration."
        )


def recheck(p_values: Sequence[float], false_discoveries: float, n: int) -> Recheck:
    """Benjamini-Hochberg: all p-values up to the largest p_(i) <= false_discoveries * i / m.

    With n calibration pictures no p-value is below 1 / (n + 1), so that fewer than m / (false_discoveries (n + 1))
    pictures of a lot can never be chosen, however odd they are.

    Args:
        p_values: of all pictures of the lot, in any order.
        false_discoveries: expected share of good ones among the chosen, strictly between 0 and 1.
        n: how many calibration pictures the p-values come from.

    Raises:
        CalibrationError: no p-value or one outside (0, 1]; a share outside (0, 1); or pictures stand out as far as they
            can and the calibration is too small to say so (``calibration.too_few_for_lot``).
    """
    m = len(p_values)
    if not 0 < false_discoveries < 1:
        raise CalibrationError(f"The share of false discoveries lies between 0 and 1; it is {false_discoveries}.")
    if not m:
        raise CalibrationError("The lot is empty: there is no picture with a p-value.")
    if wrong := sum(not 0 < value <= 1 for value in p_values):  # NaN fails both comparisons
        raise CalibrationError(f"{wrong} of {m} p-values are not between 0 and 1: the verdicts were changed.")
    share = exact(false_discoveries)
    order = sorted(range(m), key=lambda place: (p_values[place], place))
    # p-values are fractions of n + 1; the hair of tolerance is far below 1 / (n + 1)
    passing = [i for i, place in enumerate(order, 1) if p_values[place] <= float(share * i / m) * (1 + 1e-12)]
    count = passing[-1] if passing else 0
    if not count:
        _refuse_too_few(p_values, false_discoveries, n)
    return Recheck(tuple(order[:count]), p_values[order[count - 1]] if count else 0.0, false_discoveries, m, n)


def _refuse_too_few(p_values: Sequence[float], false_discoveries: float, n: int) -> None:
    m, share = len(p_values), exact(false_discoveries)
    extreme = sum(value <= (1 + 1e-12) / (n + 1) for value in p_values)
    fewest = math.ceil(m / (share * (n + 1)))
    if not extreme and fewest <= m:
        return
    needed = math.ceil(m / (share * max(1, extreme))) - 1
    raise CalibrationError(
        f"{extreme} of {m} pictures are odder than all {n} calibration pictures, but with so few of these a list with "
        f"at most {percent(false_discoveries)} expected good ones would have to name {fewest} or more at once. "
        f"Use {needed} good pictures ({needed - n} more), take smaller lots or allow more false discoveries.",
        code="calibration.too_few_for_lot",
    )
