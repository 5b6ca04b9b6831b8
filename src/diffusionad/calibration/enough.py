"""Whether there are enough good pictures for a promise, and what there is enough for."""

from __future__ import annotations

from diffusionad.calibration.shares import exact, in_words, percent, pictures_needed, promised_share
from diffusionad.errors import CalibrationError

__all__ = ["MIN_FOR_PROMISE", "check_enough", "check_shares"]

MIN_FOR_PROMISE = 10
"""With fewer calibration pictures a threshold is given, but no promise."""


def check_enough(n: int, false_alarms: float, sure: float | None = None) -> None:
    """Refuse a promise that n calibration pictures cannot carry.

    Args:
        n: good pictures at hand.
        false_alarms, sure: as in `calibrate`.

    Raises:
        CalibrationError: says what can be promised, and how many more the promise takes (``calibration.too_few``); or a
            share or certainty outside (0, 1).
    """
    check_shares(false_alarms, sure)
    needed = max(pictures_needed(false_alarms, sure), MIN_FOR_PROMISE)
    if n >= needed:
        return
    certain = "" if sure is None else f", {percent(sure)} sure"
    wanted = exact(false_alarms)
    asked = f"{wanted.numerator} in {wanted.denominator}"
    if n < MIN_FOR_PROMISE:
        best = f"with fewer than {MIN_FOR_PROMISE} nothing can be promised"
    else:
        words = in_words(promised_share(n, 1, sure))
        best = f"the best is {words} (--false-alarms {words.replace(' in ', '/')})"
    raise CalibrationError(
        f"{n} good picture{'s are' if n != 1 else ' is'} too few to promise {asked}{certain}: {best}. "
        f"For {asked}, calibrate with {needed} pictures ({needed - n} more). Nothing was changed.",
        code="calibration.too_few",
    )


def check_shares(false_alarms: float, sure: float | None) -> None:
    """Raises CalibrationError for a share or certainty outside (0, 1)."""
    if not 0 < false_alarms < 1:
        raise CalibrationError(f"The share of false alarms lies between 0 and 1, such as 0.01; it is {false_alarms}.")
    if sure is not None and not 0 < sure < 1:
        raise CalibrationError(f"The certainty lies between 0 and 1, such as 0.9; it is {sure}.")
