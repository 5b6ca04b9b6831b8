"""An alarm when pictures no longer come about as the calibration pictures did, with a false alarm rate of its own.

Conformal test martingale: each new value gets a p-value among the calibration values and all new ones before it, and
one bets against these p-values being uniform. The capital is a martingale with expectation 1 as long as values are
exchangeable, so it ever reaches c with a chance of at most 1 / c (Ville 1939), however long the line runs. Vovk,
Gammerman and Shafer, 2nd edition 2022, algorithm 8.1 (simple jumper). Against a *fixed* calibration set p-values are
not independent of each other, and the alarm would be false far more often; here every value joins the set once judged.

Several values are watched at once (score, brightness ...); each has an equal part of the false alarm rate. Their
capitals are not averaged: a mean of martingales of different histories is none.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diffusionad.calibration.shares import percent
from diffusionad.calibration.threshold import Calibration
from diffusionad.errors import CalibrationError

__all__ = ["MIN_FOR_DRIFT", "Alarm", "Watch", "capital", "semi_online", "watch", "watch_good"]

MIN_FOR_DRIFT = 10
"""With fewer calibration values than this no drift is looked for."""

_BETS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Stakes: a positive one wins when values fall, a negative one when they rise."""

_CAUSES = {  # value -> what was measured, its likely cause when it rises, when it falls
    "brightness": ("pictures are brighter", "more light or exposure", "pictures are darker", "less light, or dirt"),
    "focus": (
        "pictures are sharper or noisier",
        "focus or gain",
        "pictures are softer",
        "focus, motion or a dirty lens",
    ),
    "left_right": ("parts lie further right", "the fixture or camera moved", "parts lie further left", ""),
    "up_down": ("parts lie further down", "the fixture or camera moved", "parts lie further up", ""),
    "background": (
        "quiet areas are rebuilt worse",
        "another background or material",
        "quiet areas are rebuilt better",
        "",
    ),
    "score": ("good pictures score higher", "the product itself", "good pictures score lower", "the product itself"),
}

_JUMP = 0.01
"""Share of the capital that is spread evenly over the stakes after each picture."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One watched value that drifted.

    Attributes:
        name: of the value: score, brightness ...
        place: picture of the stream at which the alarm came, counted from 0.
        rising: whether the values since the start lie above those of the calibration rather than below.
        capital: the largest capital reached; its inverse bounds the chance of such an alarm without any drift.
    """

    name: str
    place: int
    rising: bool
    capital: float

    def sentence(self) -> str:
        """What changed, since when, and the likely cause, in plain words."""
        up, why_up, down, why_down = _CAUSES.get(self.name, (f"{self.name} is higher", "", f"{self.name} is lower", ""))
        cause = why_up if self.rising else why_down or why_up
        likely = f" (likely cause: {cause})" if cause else ""
        return f"By picture {self.place + 1} it is clear that {up if self.rising else down}{likely}."


@dataclass(frozen=True, slots=True)
class Watch:
    """What a stream of pictures shows.

    Attributes:
        pictures: how many were watched.
        n: calibration pictures they were compared with.
        names: the values watched.
        false_alarm: chance that there is ever an alarm without any drift, at most, as asked for.
        alarms: those that came, first to last.
    """

    pictures: int
    n: int
    names: tuple[str, ...]
    false_alarm: float
    alarms: tuple[Alarm, ...]

    def sentence(self) -> str:
        """Whether pictures changed, and what of them; conditions before the score, for they explain it."""
        chance = f"the chance that there is ever a false alarm is at most {percent(self.false_alarm)}"
        if not self.alarms:
            return f"No drift in {self.pictures} pictures against {self.n} of the calibration; {chance}."
        told = sorted(self.alarms, key=lambda one: one.name == "score")
        return f"DRIFT: {' '.join(one.sentence() for one in told)} No promise holds since then; {chance}."


def semi_online(known: Sequence[float], stream: Iterable[float], rng: np.random.Generator) -> list[float]:
    """p-value of each value of a stream among `known` values and all before it, in (0, 1].

    (#{greater} + U #{equal, itself included}) / (n + 1) with U uniform: exactly uniform and independent for
    exchangeable values. Large values have small p-values.
    """
    rising, found = sorted(known), []
    for value in stream:
        above = len(rising) - bisect_right(rising, value)
        equal = bisect_right(rising, value) - bisect_left(rising, value) + 1
        found.append((above + float(rng.random()) * equal) / (len(rising) + 1))
        insort(rising, value)
    return found


def capital(p_values: Iterable[float]) -> list[float]:
    """Capital of the simple jumper after each p-value, starting from 1: stakes multiply by 1 + e (p - 1/2)."""
    parts, course = np.full(len(_BETS), 1 / len(_BETS)), []
    stakes = np.array(_BETS)
    for value in p_values:
        parts = parts * (1 + stakes * (value - 0.5))
        total = float(parts.sum())
        course.append(total)
        parts = (1 - _JUMP) * parts + _JUMP / len(_BETS) * total
    return course


def watch(
    known: Mapping[str, Sequence[float]],
    stream: Mapping[str, Sequence[float]],
    false_alarm: float = 0.01,
    seed: int = 0,
) -> Watch:
    """Watch a stream of good-looking pictures.

    Args:
        known: name -> values of the calibration pictures.
        stream: name -> values of the pictures in the order in which they were taken; all of one length.
        false_alarm: chance of any alarm, ever, without drift; strictly between 0 and 1.
        seed: decides how ties are broken.

    Raises:
        CalibrationError: fewer than 10 calibration values, values that are not finite, nothing to watch, or a share
            outside (0, 1).
    """
    names = tuple(name for name in known if name in stream)
    _check(known, stream, names, false_alarm)
    limit, alarms = len(names) / false_alarm, []
    for number, name in enumerate(names):
        p_values = semi_online(known[name], stream[name], np.random.default_rng([seed, number]))
        course = capital(p_values)
        place = next((i for i, value in enumerate(course) if value >= limit), None)
        if place is not None:
            rising = float(np.mean(p_values[: place + 1])) < 0.5
            alarms.append(Alarm(name, place, rising, max(course)))
    pictures = len(stream[names[0]])
    return Watch(pictures, len(known[names[0]]), names, false_alarm, tuple(sorted(alarms, key=lambda one: one.place)))


def watch_good(
    calibration: Calibration,
    scores: Sequence[float],
    conditions: Sequence[Mapping[str, float]],
    false_alarm: float = 0.01,
    seed: int = 0,
) -> Watch:
    """Watch what scores below the threshold against those calibration pictures that do: defects are no drift.

    The place of an alarm counts the pictures watched, not those above the threshold between them.

    Args:
        calibration: of the bundle that judged.
        scores: of all pictures judged, in the order in which they were taken.
        conditions: of each; values that the calibration did not record are left out.
        false_alarm, seed: as in `watch`.

    Raises:
        CalibrationError: as `watch`.
    """
    # strictly below: the threshold is a score of the calibration, and given it only those below are as exchangeable
    calm = [place for place, score in enumerate(calibration.scores) if score < calibration.threshold]
    stream = [place for place, score in enumerate(scores) if score < calibration.threshold]
    names = [name for name in calibration.conditions if all(name in conditions[place] for place in stream)]
    known = {"score": [calibration.scores[place] for place in calm]}
    seen = {"score": [scores[place] for place in stream]}
    for name in names:
        known[name] = [calibration.conditions[name][place] for place in calm]
        seen[name] = [conditions[place][name] for place in stream]
    return watch(known, seen, false_alarm, seed)


def _check(
    known: Mapping[str, Sequence[float]], stream: Mapping[str, Sequence[float]], names: Sequence[str], share: float
) -> None:
    if not 0 < share < 1:
        raise CalibrationError(f"The chance of a false alarm lies between 0 and 1; it is {share}.")
    if not names or len({len(stream[name]) for name in names}) != 1 or not len(stream[names[0]]):
        raise CalibrationError("There is nothing to watch: drift needs pictures with a value for each condition.")
    for name in names:
        if len(known[name]) < MIN_FOR_DRIFT:
            raise CalibrationError(
                f"Drift is told against {MIN_FOR_DRIFT} calibration pictures or more; there are {len(known[name])}."
            )
        if not all(math.isfinite(value) for values in (known[name], stream[name]) for value in values):
            raise CalibrationError(f"Values of {name} are not finite: the verdicts or the bundle are broken.")
