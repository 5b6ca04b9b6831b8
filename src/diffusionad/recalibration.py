"""A new threshold for a bundle: good pictures through its inspector, and checks of all that a promise rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

from diffusionad.calibration import (
    MIN_DEFECTS,
    MIN_FOR_PROMISE,
    Calibration,
    Lower,
    calibrate,
    check_enough,
    exchangeable,
    lower_threshold,
    pictures_needed,
)
from diffusionad.data import By, labels, read_picture
from diffusionad.errors import CalibrationError, PictureError, UsageError
from diffusionad.files import file_hash
from diffusionad.inspector import Inspector
from diffusionad.rng import generator
from diffusionad.structures import Sample, Verdict
from diffusionad.synthesis import Synthesizer, Textures
from diffusionad.tensors import to_image, to_picture

__all__ = ["Recalibration", "Wanted", "find_calibration"]

_GROUPS = ("camera", "product")
_SURE = 0.9  # of the lower threshold, where nothing else was asked for
_PLANTED = 100  # defects at least, so that the lower threshold is not that of the least visible one
_MOST_SESSIONS = 100  # compared with each other: more of them say little of each and take minutes
_CHANCE = 0.001  # that pictures taken as in training are refused as unlike


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a calibration is asked for.

    Attributes:
        false_alarms: share of good pictures that may be called anomalous, strictly between 0 and 1.
        sure: certainty of that; None: on average.
        by: camera or product: a threshold for each. session, folder or date: what a session is. None: sessions are told
            by `labels`.
        escapes: share of defective pictures that may be called good; None: no lower threshold.
        defects: pictures of real defects for it.
        unlike: take pictures that score unlike those held back in training.
    """

    false_alarms: float = 0.01
    sure: float | None = None
    by: By | None = None
    escapes: float | None = None
    defects: Sequence[Path] = ()
    unlike: bool = False


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What came of it.

    Attributes:
        calibration: the new one.
        alike: p-value of "these and the pictures held back in training come about alike"; None where none are known.
        sessions_alike: p-value of "all sessions come about alike"; None with one session, or more than 100.
        reviewed: of the good pictures behind it, how many would go to a person.
        copies: pictures left out because their content came before.
        unjudged: a sentence for each picture that could not be judged.
    """

    calibration: Calibration
    alike: float | None
    sessions_alike: float | None
    reviewed: int
    copies: int
    unjudged: tuple[str, ...]


@dataclass(slots=True)
class _Judged:
    scores: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    conditions: list[dict[str, float]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)

    def add(self, place: int, verdict: Verdict) -> None:
        if verdict.anomaly_map is None:
            self.unjudged.append(verdict.error or "")
            return
        self.scores.append(verdict.score)
        self.peaks.append(float(verdict.anomaly_map.max()))
        self.conditions.append(dict(verdict.conditions))
        self.places.append(place)


def find_calibration(
    inspector: Inspector,
    samples: Sequence[Sample],
    wanted: Wanted,
    line: Callable[[str, bool], None] = lambda text, passing: None,
) -> Recalibration:
    """Judge good pictures that were never trained on, and make the calibration that was asked for. Nothing is written.

    Args:
        inspector: the bundle, opened.
        samples: good pictures. Of several with the same content one counts.
        wanted: what is asked for.
        line: shows progress.

    Raises:
        CalibrationError: pictures trained the bundle (``.trained_on``), are given as good and as defective (``.both``),
            are too few (``.too_few``, ``.too_few_defects``), look defective or unlike training (``.unlike``), or have
            scores that cannot be.
        UsageError: a lower threshold for tiled pictures without real defects.
        DataError: a picture without the name that `by` needs.
    """
    good, copies = _distinct(inspector, [sample.path for sample in samples])
    samples = [samples[place] for place in good.values()]
    bad, _ = _distinct(inspector, wanted.defects)
    if both := set(good) & set(bad):
        path = wanted.defects[bad[sorted(both)[0]]]
        raise CalibrationError(
            f"{len(both)} pictures are given as good and as defective; the first: {str(path)!r}. Sort them.",
            code="calibration.both",
        )
    check_enough(len(samples), wanted.false_alarms, wanted.sure)
    grouped = wanted.by in _GROUPS
    groups = labels(samples, str(wanted.by)) if grouped else []
    sessions = labels(samples, "session" if wanted.by is None or grouped else wanted.by)
    judged = _Judged()
    for place, sample in enumerate(samples):
        judged.add(place, inspector(sample.path))
        line(f"{place + 1}/{len(samples)} pictures", True)
    check_enough(len(judged.scores), wanted.false_alarms, wanted.sure)
    old = inspector.bundle.calibration
    held_back = () if old is None else old.held_back or old.scores
    if not wanted.unlike:
        _refuse_unlike(judged.scores, held_back)
    calibration = calibrate(
        judged.scores,
        wanted.false_alarms,
        sure=wanted.sure,
        peaks=judged.peaks,
        sessions=[sessions[place] for place in judged.places],
        conditions={name: [row[name] for row in judged.conditions] for name in judged.conditions[0]},
        artifact=file_hash(inspector.bundle.network),
        held_back=held_back,
        group_by=wanted.by if grouped else None,
        groups=[groups[place] for place in judged.places] if grouped else [],
        lower=_lower(inspector, samples, [wanted.defects[place] for place in bad.values()], wanted, line),
    )
    return _told(calibration, copies, judged.unjudged)


def _told(calibration: Calibration, copies: int, unjudged: Sequence[str]) -> Recalibration:
    scores, held_back, sessions = calibration.scores, calibration.held_back, calibration.sessions
    alike = None
    if held_back:
        alike = exchangeable([*scores, *held_back], ["new"] * len(scores) + ["held back"] * len(held_back))
    lower = calibration.lower
    reviewed = 0 if lower is None else sum(lower.threshold <= score <= calibration.threshold for score in scores)
    return Recalibration(
        calibration,
        alike,
        exchangeable(scores, sessions) if 1 < len(set(sessions)) <= _MOST_SESSIONS else None,
        reviewed,
        copies,
        tuple(unjudged),
    )


def _distinct(inspector: Inspector, paths: Sequence[Path]) -> tuple[dict[str, int], int]:
    """Content hash -> the first place with it, and how many copies there were. Refuses what trained the bundle."""
    seen, found, known = set(inspector.bundle.origin.hashes), dict[str, int](), []
    for place, path in enumerate(paths):
        digest = _digest(path)
        if digest[:16] in seen:
            known.append(path)
        found.setdefault(digest, place)
    if known:
        raise CalibrationError(
            f"{len(known)} of {len(paths)} pictures trained this bundle (the first: {known[0]}): "
            "a threshold needs pictures that it has never seen.",
            code="calibration.trained_on",
        )
    return found, len(paths) - len(found)


def _digest(path: Path) -> str:
    """Content hash; of what cannot be read its path, for that is told when it is judged, one after the other."""
    try:
        return file_hash(path) if path.is_file() else str(path)
    except OSError:
        return str(path)


def _refuse_unlike(scores: Sequence[float], held_back: Sequence[float]) -> None:
    """By the chance that so many of m new pictures exceed all n held back, were both alike: C(m+n-a, n) / C(m+n, n)."""
    m, n = len(scores), len(held_back)
    if n < MIN_FOR_PROMISE:
        return
    above = sum(score > held_back[-1] for score in scores)
    if 2 * above > m and comb(m + n - above, n) <= _CHANCE * comb(m + n, n):
        raise CalibrationError(
            f"{above} of {m} pictures score above all {n} good pictures held back in training: they look defective, or "
            "were taken in another way. Look at them. If they are good, train with such pictures, or say --unlike.",
            code="calibration.unlike",
        )


def _lower(
    inspector: Inspector,
    samples: Sequence[Sample],
    defects: Sequence[Path],
    wanted: Wanted,
    line: Callable[[str, bool], None],
) -> Lower | None:
    if wanted.escapes is None:
        return None
    sure = _SURE if wanted.sure is None else wanted.sure
    if len(defects) < MIN_DEFECTS:
        return lower_threshold(
            _planted(inspector, samples, wanted.escapes, sure, line), wanted.escapes, sure, "planted"
        )
    scores = []
    for place, path in enumerate(defects, 1):
        verdict = inspector(path)
        if verdict.anomaly_map is not None:
            scores.append(verdict.score)
        line(f"{place}/{len(defects)} defects", True)
    return lower_threshold(scores, wanted.escapes, sure)


def _planted(
    inspector: Inspector, samples: Sequence[Sample], escapes: float, sure: float, line: Callable[[str, bool], None]
) -> list[float]:
    """Scores of the good pictures with a synthetic defect each, in turn, 100 or as many as the share takes."""
    config = inspector.bundle.config
    if config.data.fit == "tile":
        raise UsageError(f"Of tiled pictures a lower threshold takes real defects: give {MIN_DEFECTS} with --defects.")
    synthesizer = Synthesizer(Textures(()), config.synthesis.kinds, config.synthesis.normal_share)
    scores, count = list[float](), max(_PLANTED, pictures_needed(escapes, sure))
    for place in range(3 * count):  # some pictures may not be readable
        try:
            picture = read_picture(samples[place % len(samples)].path)
        except PictureError:
            continue
        view = inspector.view((picture.shape[0], picture.shape[1]))
        pair = synthesizer.plant(
            generator(config.seed, "planted", place), to_image(view.picture(picture)), None, view.judged
        )
        scores.append(inspector.outcome_of(to_picture(pair.image), view).image_score)
        line(f"{len(scores)}/{count} planted defects", True)
        if len(scores) == count:
            break
    return scores
