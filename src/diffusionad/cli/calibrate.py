"""`diffusionad calibrate`: a threshold with a promise, or a refusal that says what it takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.bundle import recalibrate
from diffusionad.cli.screen import Screen, share
from diffusionad.cli.stream import say_alike
from diffusionad.data import By, find_pictures, find_samples, recognise
from diffusionad.errors import CalibrationError
from diffusionad.inspector import Inspector
from diffusionad.recalibration import Recalibration, Wanted, find_calibration
from diffusionad.structures import Sample

__all__ = ["calibrate", "good_pictures"]

_ESCAPES = "10%"

Flag = Annotated[bool, Parameter(negative=())]


def calibrate(
    bundle: Path,
    data: Path,
    *,
    false_alarms: str = "0.01",
    sure: str | None = None,
    by: By | None = None,
    defects: Path | None = None,
    escapes: str | None = None,
    unlike: Flag = False,
    category: str | None = None,
    layout: str = "auto",
    json: Flag = False,
) -> int:
    """Set the threshold from good pictures that were never trained on. Too few for the promise: nothing is changed.

    Example: diffusionad calibrate runs/part/bundle ./good_tuesday --false-alarms 1/100 --sure 90%

    Args:
        bundle: Folder of the bundle; its threshold is replaced.
        data: Folder of good pictures, or a data set in a known layout, whose good test pictures are taken.
        false_alarms: Share of good pictures that may be called anomalous: 0.01, 1/100 or 1%.
        sure: Certainty of that promise for this very threshold: 90%. Without it the promise holds on average.
        by: camera, product: a threshold for each. session, folder, date: each is judged by a threshold from the others.
        defects: Pictures of real defects; 30 or more give a lower threshold with a promise. Between the two: review.
        escapes: Share of defective pictures that may be called good: 10%. Without 30 real defects planted ones serve,
            and promise nothing.
        unlike: Take pictures although they score unlike those held back in training.
        category: Which one, where a data set has several.
        layout: auto, or a name that `diffusionad datasets` lists.
        json: Print one JSON object instead of text.
    """
    screen, escapes = Screen(json), _ESCAPES if defects and escapes is None else escapes
    wanted = Wanted(
        false_alarms=share(false_alarms),
        sure=None if sure is None else share(sure),
        by=by,
        escapes=None if escapes is None else share(escapes),
        defects=list(find_pictures([defects])) if defects else [],
        unlike=unlike,
    )
    inspector = Inspector.load(bundle)
    found = find_calibration(inspector, good_pictures(data, layout, category, by), wanted, screen.line)
    recalibrate(inspector.bundle, found.calibration)
    _show(screen, found)
    calibration = found.calibration
    screen.result(
        {
            **calibration.to_json(),
            "sentence": calibration.sentence(),
            "held_sessions": [asdict(one) for one in calibration.held],
            "alike": found.alike,
            "sessions_alike": found.sessions_alike,
            "reviewed": found.reviewed,
            "copies": found.copies,
            "unjudged": list(found.unjudged),
        }
    )
    return 3 if found.unjudged else 0


def good_pictures(data: Path, layout: str, category: str | None, by: By | None = None) -> list[Sample]:
    """Good test pictures where there are some, else all good ones; with --by product of all categories."""
    categories: list[str | None] = [category]
    if by == "product" and category is None:
        reading = recognise(data, layout)
        layout, categories = reading.layout, [*reading.categories] or [None]
    good = [sample for name in categories for sample in find_samples(data, layout, name) if sample.is_good]
    chosen = [sample for sample in good if sample.split == "test"] or good
    if not chosen:
        raise CalibrationError(f"No good picture was found in {data}: a threshold comes from good pictures.")
    return chosen


def _show(screen: Screen, found: Recalibration) -> None:
    calibration = found.calibration
    for reason in found.unjudged:
        screen.say(f"left out: {reason}")
    if found.copies:
        screen.say(f"left out: {found.copies} copies of other pictures; one picture counts once.")
    screen.say(f"Threshold {calibration.threshold:.4f}. {calibration.sentence()}")
    if calibration.held:
        rows = [
            [one.session, str(one.pictures), str(one.false_alarms), f"{100 * one.share:.1f} %"]
            for one in calibration.held
        ]
        screen.table(["session", "pictures", "called anomalous by the others' threshold", "share"], rows)
    if calibration.groups:
        rows = [[name, str(own.n), f"{own.threshold:.4f}"] for name, own in calibration.groups.items()]
        screen.table([str(calibration.group_by), "pictures", "threshold"], rows)
    if calibration.lower:
        screen.say(
            f"Lower threshold {calibration.lower.threshold:.4f}: {found.reviewed} of {calibration.n} good pictures "
            "of the calibration would go to review."
        )
    say_alike(screen, "These pictures and those held back in training", found.alike)
    say_alike(screen, "The sessions", found.sessions_alike)
