"""What many pictures show together: which to look at again, whether they changed, whether parts are alike."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from diffusionad.calibration import Calibration, Watch, recheck, watch_good
from diffusionad.cli.screen import Screen
from diffusionad.errors import UsageError
from diffusionad.structures import Verdict

__all__ = ["Stream", "say_alike"]

_ODD = 0.01  # p-value up to which parts are said to differ


class Stream:
    """Keeps some numbers of each verdict, where they are asked for.

    Args:
        calibration: of the bundle.
        false_discoveries: expected share of good pictures in the list to look at again; None: no list.
        false_alarm: chance of an alarm without drift; None: no watch.
        group: that all pictures are said to be of; None: their folders say.

    Raises:
        UsageError: the bundle is not calibrated, or has no such group.
    """

    def __init__(
        self,
        calibration: Calibration | None,
        false_discoveries: float | None,
        false_alarm: float | None,
        group: str | None,
    ) -> None:
        if calibration is None and (false_discoveries is not None or false_alarm is not None or group is not None):
            raise UsageError("--recheck, --watch and --group need a calibrated bundle: run `diffusionad calibrate`.")
        known = () if calibration is None else (*calibration.groups, *calibration.pooled)
        if group is not None and group not in known:
            names = ", ".join(map(repr, known)) or "none"
            raise UsageError(f"The bundle was calibrated without a group {group!r}; its groups: {names}.")
        self._calibration, self._share, self._alarm = calibration, false_discoveries, false_alarm
        self._pictures = 0
        self._places = list[int]()
        self._paths = list[str]()
        self._p_values = list[float]()
        self._scores = list[float]()
        self._conditions = list[dict[str, float]]()

    def add(self, verdict: Verdict) -> None:
        """One verdict more, in the order in which pictures were taken; those without a score are passed over."""
        self._pictures += 1
        if verdict.p_value is None:
            return
        if self._share is not None:
            self._paths.append(verdict.path)
            self._p_values.append(verdict.p_value)
        if self._alarm is not None:
            self._places.append(self._pictures - 1)
            self._scores.append(verdict.score)
            self._conditions.append(dict(verdict.conditions))

    def told(self, screen: Screen) -> dict[str, Any]:
        """Say it, and return the same for machines.

        Raises:
            CalibrationError: the calibration is too small for it.
        """
        content: dict[str, Any] = {}
        if self._calibration is None:
            return content
        if self._share is not None:
            n = min([self._calibration.n, *(group.n for group in self._calibration.groups.values())])
            found = recheck(self._p_values, self._share, n)
            chosen = [self._paths[place] for place in found.chosen]
            screen.say(found.sentence())
            for place in found.chosen:
                screen.say(f"  recheck  p = {self._p_values[place]:.4g}  {self._paths[place]!r}")
            content["recheck"] = {"sentence": found.sentence(), "paths": chosen}
        if self._alarm is not None:
            seen = self._watched(self._calibration, self._alarm)
            screen.say(seen.sentence())
            content["drift"] = {"sentence": seen.sentence(), "alarms": [asdict(one) for one in seen.alarms]}
        return content

    def _watched(self, calibration: Calibration, false_alarm: float) -> Watch:
        found = watch_good(calibration, self._scores, self._conditions, false_alarm)
        rows = zip(self._places, self._scores, strict=True)
        places = [place for place, score in rows if score < calibration.threshold]
        return replace(found, alarms=tuple(replace(alarm, place=places[alarm.place]) for alarm in found.alarms))


def say_alike(screen: Screen, what: str, p_value: float | None) -> None:
    """Whether two parts, named by `what`, score alike, by the p-value of a permutation test; nothing without one."""
    if p_value is None:
        return
    if p_value <= _ODD:
        screen.say(
            f"warning: {what} score differently (p = {p_value:.4f}): a promise from one does not hold for others."
        )
    else:
        screen.say(f"{what} score alike as far as can be told (p = {p_value:.2f}).")
