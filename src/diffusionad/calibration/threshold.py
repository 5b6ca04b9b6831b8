"""A threshold with a promise: split-conformal calibration on good pictures that were never trained on.

Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; for anomaly detection Bates, Candes, Lei,
Romano and Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023. The promise holds for
exchangeable pictures: new good pictures come about as the calibration pictures did.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction

from diffusionad.calibration.enough import MIN_FOR_PROMISE, check_shares
from diffusionad.calibration.lower import Lower
from diffusionad.calibration.sessions import Held, hold_out_each
from diffusionad.calibration.shares import (
    exact,
    false_alarms_allowed,
    in_words,
    percent,
    pictures_needed,
    promised_share,
)
from diffusionad.errors import CalibrationError, PictureError
from diffusionad.structures import Judgement

__all__ = ["Calibration", "calibrate", "p_value"]

_RULES = {False: "split-conformal", True: "pac"}


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and where it comes from. A picture is anomalous when its score is strictly greater than `threshold`.

    Ties or not: score > threshold if and only if p_value(score) <= level.

    Attributes:
        rule: "split-conformal", or "pac" with `sure`.
        requested: share of good pictures that may be called anomalous, as asked for, 0..1.
        sure: certainty of the promise, 0..1; None: it holds on average over calibrations.
        promised: the share that holds; None with fewer than 10 pictures.
        needed: how many calibration pictures the requested share takes.
        n: how many there were.
        threshold: one of the scores.
        scores: [n] rising, image scores of good pictures never trained on.
        peaks: [n] highest map value of each picture, in the order of `scores`; () where not recorded.
        sessions: [n] session of each picture, in the order of `scores`; () where not recorded.
        conditions: name -> [n] values in the order of `scores`, what each picture was taken under (`conditions.py`).
        artifact: sha256 of the network file that gave the scores; None where not recorded.
        held_back: rising scores of the pictures held back in training, where these are not the same pictures.
        group_by: what the groups are: camera, product, folder ...; None without groups.
        groups: name -> its own calibration, for groups with enough pictures for the requested share.
        pooled: names of the groups that are too small and use this calibration, that of all pictures.
        lower: from it up to the threshold a person looks; None: there is nothing between good and anomalous.
    """

    rule: str
    requested: float
    promised: float | None
    needed: int
    n: int
    threshold: float
    scores: tuple[float, ...]
    sure: float | None = None
    peaks: tuple[float, ...] = ()
    sessions: tuple[str, ...] = ()
    conditions: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    artifact: str | None = None
    held_back: tuple[float, ...] = ()
    group_by: str | None = None
    groups: Mapping[str, Calibration] = field(default_factory=dict)
    pooled: tuple[str, ...] = ()
    lower: Lower | None = None

    @property
    def kept(self) -> bool:
        """Whether the requested share is promised, and not only the best that so few pictures allow."""
        return self.n >= max(self.needed, MIN_FOR_PROMISE)

    @property
    def level(self) -> float:
        """p-value up to which a picture is anomalous."""
        return max(1, false_alarms_allowed(self.n, self.requested, self.sure)) / (self.n + 1)

    @property
    def held(self) -> tuple[Held, ...]:
        """Each session judged by a threshold from all others, the worst first; () with fewer than two."""
        return hold_out_each(self.scores, self.sessions, self.requested, self.sure)

    def of(self, group: str | None) -> Calibration:
        """The calibration that judges pictures of a group: its own, else this one."""
        return self if group is None else self.groups.get(group, self)

    def judge(self, score: float, group: str | None = None) -> Judgement:
        """good, review or anomalous."""
        if score > self.of(group).threshold:
            return "anomalous"
        return "review" if self.lower is not None and score >= self.lower.threshold else "good"

    def p_value(self, score: float, group: str | None = None) -> float:
        """p-value of a picture among the good pictures of its group.

        Raises:
            PictureError: `score` is not finite.
        """
        return p_value(self.of(group).scores, score)

    def region_p_value(self, peak: float, group: str | None = None) -> float | None:
        """p-value of a region by its highest map value; None where no peaks were recorded.

        The highest map value of each good picture is what it is compared with. So on a good picture the chance that any
        region has a p-value of at most q is at most q, whatever the number of regions.

        Raises:
            PictureError: `peak` is not finite.
        """
        peaks = self.of(group).peaks
        return p_value(sorted(peaks), peak) if peaks else None

    def sentence(self) -> str:
        """What the threshold promises, in plain words, and what a missing promise would take."""
        lower = self.lower.sentence() if self.lower else ""
        parts = [self._promise(), self._missing(), self._of_sessions(), self._of_groups(), lower]
        return " ".join(part for part in parts if part)

    def to_json(self) -> dict[str, object]:
        """As plain JSON values; `from_json` reverses it."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self)))
        return plain

    def _promise(self) -> str:
        made = f"Made from {self.n} good picture{'s' if self.n > 1 else ''} never trained on:"
        if self.promised is None:
            return f"{made} fewer than {MIN_FOR_PROMISE}, so nothing is promised about false alarms."
        if self.sure is None:
            share = Fraction(round(self.promised * (self.n + 1)), self.n + 1)
            verb = "is" if share.numerator == 1 else "are"
            said = f"at most {in_words(share)} good pictures {verb} called anomalous on average"
        else:
            said = f"{percent(self.sure)} sure that at most {in_words(self.promised)} good pictures is called anomalous"
        return f"{made} {said}, as long as new pictures are taken like these.{self._condition()}"

    def _condition(self) -> str:
        if len(set(self.sessions)) != 1:
            return ""
        return f" All are of one session ({self.sessions[0]!r}): nothing is promised for others."

    def _missing(self) -> str:
        if self.kept:
            return ""
        wanted, total = exact(self.requested), max(self.needed, MIN_FOR_PROMISE)
        return (
            f"For {wanted.numerator} in {wanted.denominator}, calibrate with {total} pictures ({total - self.n} more)."
        )

    def _of_sessions(self) -> str:
        held = self.held
        if not held:
            return ""
        worst, alarms = held[0], sum(one.false_alarms for one in held)
        return (
            f"Each of {len(held)} sessions judged by the others: worst {worst.session!r}, where "
            f"{worst.false_alarms} of {worst.pictures} good pictures are called anomalous "
            f"({percent(round(worst.share, 4))}), all together "
            f"{alarms} of {self.n} ({percent(round(alarms / self.n, 4))})."
        )

    def _of_groups(self) -> str:
        if self.group_by is None:
            return ""
        own = ", ".join(f"{name!r}" for name in self.groups) or "none"
        said = f"A threshold of its own has each {self.group_by} of: {own}."
        if self.pooled:
            small = ", ".join(f"{name!r}" for name in self.pooled)
            said += f" Too few pictures, so the threshold of all pictures holds for: {small}."
        return said


def p_value(rising: Sequence[float], score: float) -> float:
    """Share of calibration pictures at least as anomalous, the new one counted in: (1 + #{>= score}) / (n + 1).

    Raises:
        PictureError: `score` is not finite.
    """
    if not math.isfinite(score):
        raise PictureError(f"The picture's score is {score}: it cannot be judged.", code="picture.nonfinite")
    return (1 + len(rising) - bisect_left(rising, score)) / (len(rising) + 1)


def calibrate(
    scores: Sequence[float],
    false_alarms: float = 0.01,
    *,
    sure: float | None = None,
    peaks: Sequence[float] = (),
    sessions: Sequence[str] = (),
    conditions: Mapping[str, Sequence[float]] | None = None,
    artifact: str | None = None,
    held_back: Sequence[float] = (),
    group_by: str | None = None,
    groups: Sequence[str] = (),
    lower: Lower | None = None,
) -> Calibration:
    """The lowest threshold that calls at most a share `false_alarms` of good pictures anomalous.

    The k-th smallest of the n scores. On average over calibrations k = ceil((n + 1) (1 - false_alarms)); with certainty
    `sure` by the binomial law of `shares.py`. When n is too small for the share, it is the largest score, and
    `promised` says what that promises.

    Args:
        scores: image scores of good pictures that the network was not trained on, in any order.
        false_alarms: the share, strictly between 0 and 1. Read as the decimal number it is written as.
        sure: certainty, strictly between 0 and 1.
        peaks, sessions, conditions: see `Calibration`; a value for each score, in the same order, or nothing.
        artifact, held_back, lower: see `Calibration`.
        group_by: what the groups are.
        groups: the group of each picture, in the order of `scores`. Each that is large enough gets a calibration of its
            own with the same share and certainty (Mondrian); the others are `pooled`.

    Raises:
        CalibrationError: no scores, a score that is not finite, all scores equal, a share or certainty outside (0, 1).
    """
    check_shares(false_alarms, sure)
    _check_scores(scores)
    n = len(scores)
    columns = {"peaks": peaks, "sessions": sessions, "groups": groups, **(conditions or {})}
    for name, column in columns.items():
        if len(column) not in (0, n):
            raise CalibrationError(f"There are {n} scores and {len(column)} {name}: give one for each.")
    keys = [(float(score), *(column[i] for column in columns.values() if column)) for i, score in enumerate(scores)]
    order = sorted(range(n), key=lambda i: keys[i])
    allowed = max(1, false_alarms_allowed(n, false_alarms, sure))
    rising = tuple(float(scores[i]) for i in order)
    whole = Calibration(
        rule=_RULES[sure is not None],
        requested=float(false_alarms),
        promised=promised_share(n, allowed, sure) if n >= MIN_FOR_PROMISE else None,
        needed=pictures_needed(false_alarms, sure),
        n=n,
        threshold=rising[n - allowed],
        scores=rising,
        sure=None if sure is None else float(sure),
        peaks=tuple(float(peaks[i]) for i in order) if peaks else (),
        sessions=tuple(str(sessions[i]) for i in order) if sessions else (),
        conditions={name: tuple(float(column[i]) for i in order) for name, column in (conditions or {}).items()},
        artifact=artifact,
        held_back=tuple(sorted(float(score) for score in held_back)),
        lower=lower,
    )
    return whole if group_by is None else _grouped(whole, group_by, [groups[i] for i in order])


def _grouped(whole: Calibration, group_by: str, labels: Sequence[str]) -> Calibration:
    own, pooled = {}, []
    for name in sorted(set(labels)):
        places = [i for i, label in enumerate(labels) if label == name]
        part = [whole.scores[i] for i in places]
        if len(part) < max(whole.needed, MIN_FOR_PROMISE) or part[0] == part[-1]:
            pooled.append(name)
        else:
            peaks = [whole.peaks[i] for i in places] if whole.peaks else []
            own[name] = calibrate(part, whole.requested, sure=whole.sure, peaks=peaks)
    return replace(whole, group_by=group_by, groups=own, pooled=tuple(pooled))


def _check_scores(scores: Sequence[float]) -> None:
    n = len(scores)
    if not n:
        raise CalibrationError("No scores to calibrate with: keep some good pictures out of training.")
    if wrong := sum(not math.isfinite(score) for score in scores):
        raise CalibrationError(f"{wrong} of {n} scores are not finite: the pictures or the bundle are broken.")
    if n > 1 and min(scores) == max(scores):
        raise CalibrationError(f"All {n} scores are {float(scores[0])}: the pictures or the bundle are broken.")
