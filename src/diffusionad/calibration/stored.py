"""A stored calibration is never believed: everything but what was measured is worked out again and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from itertools import pairwise
from typing import Any

from diffusionad.calibration.lower import Lower, lower_threshold
from diffusionad.calibration.threshold import Calibration, calibrate
from diffusionad.errors import CalibrationError

__all__ = ["from_json"]

_MEASURED = ("scores", "peaks", "sessions", "conditions", "held_back", "groups", "pooled", "lower")


def from_json(stored: object) -> Calibration:
    """Reverse of `Calibration.to_json`. Keys that came later may be missing.

    Raises:
        CalibrationError: keys are missing or unknown, a type is wrong, or the fields contradict each other.
    """
    content = _checked_keys(stored, Calibration, "calibration")
    for name in ("scores", "peaks", "held_back"):
        _check_numbers(name, content.get(name, []))
    _check_numbers("scores, its requested share", [content["requested"]])
    conditions, sessions = content.get("conditions", {}), content.get("sessions", [])
    if not isinstance(conditions, Mapping) or not _are_texts(sessions):
        raise CalibrationError("The stored calibration's sessions must be a list of texts, its conditions an object.")
    for name, values in conditions.items():
        _check_numbers(name, values)
    _check_rising(content["scores"])
    sure, artifact, group_by = content.get("sure"), content.get("artifact"), content.get("group_by")
    if not (sure is None or _is_number(sure)) or not all(x is None or isinstance(x, str) for x in (artifact, group_by)):
        raise CalibrationError("The stored calibration's certainty must be a number, its artifact and groups texts.")
    groups, labels = _groups(content)
    calibration = calibrate(
        content["scores"],
        content["requested"],
        sure=sure,
        peaks=content.get("peaks", []),
        sessions=sessions,
        conditions=conditions,
        artifact=artifact,
        held_back=content.get("held_back", []),
        lower=_lower(content.get("lower")),
    )
    _compare(content, calibration.to_json(), "calibration")
    if group_by is None and (groups or labels):
        raise CalibrationError("The stored calibration has groups but does not say of what: the file was changed.")
    return _with_groups(calibration, group_by, groups, labels)


def _with_groups(
    whole: Calibration, group_by: str | None, groups: Mapping[str, Calibration], pooled: tuple[str, ...]
) -> Calibration:
    rest = Counter(whole.scores)
    for name, own in groups.items():
        if (own.requested, own.sure) != (whole.requested, whole.sure) or not own.kept or own.groups or own.lower:
            raise CalibrationError(f"The stored group {name!r} was made for another promise: the file was changed.")
        rest.subtract(own.scores)
    if any(count < 0 for count in rest.values()):
        raise CalibrationError("The stored groups have scores that the whole lacks: the file was changed.")
    return replace(whole, group_by=group_by, groups=groups, pooled=pooled)


def _groups(content: Mapping[str, Any]) -> tuple[dict[str, Calibration], tuple[str, ...]]:
    groups, pooled = content.get("groups", {}), content.get("pooled", [])
    if not isinstance(groups, Mapping) or not _are_texts(pooled):
        raise CalibrationError("The stored calibration's groups must be an object, its pooled ones a list of texts.")
    return {str(name): from_json(own) for name, own in groups.items()}, tuple(pooled)


def _lower(stored: object) -> Lower | None:
    if stored is None:
        return None
    content = _checked_keys(stored, Lower, "lower threshold")
    _check_numbers("lower scores", content["scores"])
    _check_numbers("lower shares", [content["requested"], content["sure"]])
    _check_rising(content["scores"])
    if content["source"] not in ("defects", "planted"):
        raise CalibrationError(f"The stored lower threshold comes from {content['source']!r}: the file was changed.")
    lower = lower_threshold(content["scores"], content["requested"], content["sure"], content["source"])
    _compare(content, {name: getattr(lower, name) for name in ("promised", "n", "threshold")}, "lower threshold")
    return lower


def _checked_keys(stored: object, kind: type[Calibration | Lower], name: str) -> Mapping[str, Any]:
    if not isinstance(stored, Mapping):
        raise CalibrationError(f"A stored {name} is a JSON object, not {type(stored).__name__}.")
    known = {one.name for one in fields(kind)}
    must = {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}
    for problem, keys in (("lacks", must - set(stored)), ("has unknown keys:", set(stored) - known)):
        if keys:
            names = ", ".join(sorted(map(str, keys)))
            raise CalibrationError(f"The stored {name} {problem} {names}; its keys are {', '.join(sorted(known))}.")
    return stored


def _compare(stored: Mapping[str, Any], worked_out: Mapping[str, Any], name: str) -> None:
    for key, value in worked_out.items():
        if key in _MEASURED or key == "group_by" or key not in stored:
            continue
        if stored[key] != value or isinstance(stored[key], bool):
            raise CalibrationError(
                f"The stored {name} says {key} = {stored[key]!r}, its scores say {value!r}: the file was changed."
            )


def _check_numbers(name: str, values: object) -> None:
    if not isinstance(values, list | tuple) or not all(_is_number(value) for value in values):
        raise CalibrationError(f"The stored calibration's {name} must be a list of numbers or a number.")


def _check_rising(scores: list[float]) -> None:
    if any(one > other for one, other in pairwise(scores)):
        raise CalibrationError("The stored calibration's scores are not in rising order: the file was changed.")


def _are_texts(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) <= 2**53)
