"""What the stored verdicts of a lot show: counts, exact bounds, costs, pictures to look at again, drift."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffusionad.calibration import Calibration, Recheck, Watch, recheck, watch_good
from diffusionad.errors import CalibrationError, DataError, UsageError
from diffusionad.structures import GOOD, Verdict

__all__ = ["CostPoint", "Costs", "Lot", "Prices", "examine_lot", "read_labels"]

_GOOD_WORDS = ("good", "ok", "normal")
_MOST_POINTS = 300


@dataclass(frozen=True, slots=True)
class Prices:
    """What mistakes cost, in any one currency.

    Attributes:
        overkill: of a good part that is rejected.
        escape: of a defective part that is passed.
        defective: share of defective parts that the line makes, 0..1; None: that of the labelled pictures.
    """

    overkill: float
    escape: float
    defective: float | None = None


@dataclass(frozen=True, slots=True)
class CostPoint:
    """Expected cost of 1,000 parts at a threshold."""

    threshold: float
    cost: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost curve over labelled pictures.

    Attributes:
        prices: what mistakes cost.
        defective: share of defective parts that was used, 0..1.
        points: by rising threshold.
        stored: at the threshold of the verdicts; None where they have several.
        cheapest: the lowest point, at the highest such threshold.
    """

    prices: Prices
    defective: float
    points: tuple[CostPoint, ...]
    stored: CostPoint | None
    cheapest: CostPoint


@dataclass(frozen=True, slots=True)
class Lot:
    """Everything a certificate says of the pictures themselves.

    Attributes:
        verdicts: without arrays, in the order of the file.
        counts: verdict to number of pictures.
        labelled: verdict to number of labelled pictures.
        overkill: labelled good pictures called anomalous, of how many labelled good ones.
        escapes: labelled defective pictures called good, of how many.
        fair: whether labelled pictures have the lot's shares of verdicts, as far as can be told; else the rates are
            those of the labelled pictures and not of the lot.
        mistakes: (path, label, verdict) of labelled pictures judged wrongly.
        costs: None without prices, or without labels of both kinds.
        recheck: places of pictures in the lot to look at again.
        drift: of the pictures below the calibrated threshold, in their order; alarms name places in the lot.
        silence: name of a section (costs, recheck, drift) to the reason why it is None.
    """

    verdicts: tuple[Verdict, ...]
    counts: Mapping[str, int]
    labelled: Mapping[str, int]
    overkill: tuple[int, int]
    escapes: tuple[int, int]
    fair: bool
    mistakes: tuple[tuple[str, str, str], ...]
    costs: Costs | None
    recheck: Recheck | None
    drift: Watch | None
    silence: Mapping[str, str]


def read_labels(path: Path, verdicts: Sequence[Verdict]) -> dict[int, str]:
    """Operators' verdicts or known samples: a CSV with the columns path and label. Gives place in the lot -> label.

    `path` is that of the verdict, or a file's name where only one picture of the lot has it. `good`, `ok` and `normal`
    are good, every other word is a kind of defect.

    Raises:
        DataError: the file cannot be read, or a row names no picture of the lot, several, or one twice
            (``data.labels``).
    """
    places: dict[str, list[int]] = {}
    for place, verdict in enumerate(verdicts):
        for name in {verdict.path, Path(verdict.path).name}:
            places.setdefault(name, []).append(place)
    labels: dict[int, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if not {"path", "label"} <= set(rows.fieldnames or ()):
                raise ValueError(f"its first line names {rows.fieldnames}, and path and label are needed")
            for row in rows:
                place, label = _labelled(row, places)
                if place in labels:
                    raise ValueError(f"line {rows.line_num} names {row['path']!r} a second time")
                labels[place] = label
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"The labels {path} cannot be used: {error}. Give a CSV with the columns path and label.",
            code="data.labels",
        ) from None
    return labels


def _labelled(row: Mapping[str, str | None], places: Mapping[str, Sequence[int]]) -> tuple[int, str]:
    name, label = row["path"] or "", (row["label"] or "").strip()
    found = places.get(name) or places.get(Path(name).name, ())
    if len(found) != 1:
        raise ValueError(f"{name!r} names {len(found)} pictures of this lot, and must name one")
    if not label:
        raise ValueError(f"{name!r} has no label")
    return found[0], GOOD if label.lower() in _GOOD_WORDS else label


def examine_lot(
    verdicts: Sequence[Verdict],
    labels: Mapping[int, str],
    calibration: Calibration | None,
    *,
    prices: Prices | None = None,
    false_discoveries: float = 0.1,
) -> Lot:
    """Work out what a lot shows.

    Args:
        verdicts: of the lot, in the order in which the pictures were taken.
        labels: place -> "good" or a kind of defect, for some or all pictures.
        calibration: of the bundle that judged; None leaves the recheck list and drift out.
        prices: of mistakes; None leaves the cost curve out.
        false_discoveries: expected share of good pictures in the recheck list, at most, in (0, 1).

    Raises:
        DataError: there is no verdict (``data.verdicts``).
        UsageError: a price that is not finite or below 0, a share outside (0, 1).
    """
    if not verdicts:
        raise DataError("The lot is empty: there is no verdict to certify.", code="data.verdicts")
    if prices is not None:
        _check(prices)
    judged = {place: label for place, label in labels.items() if verdicts[place].verdict != "error"}
    good = [verdicts[place] for place, label in judged.items() if label == GOOD]
    bad = [verdicts[place] for place, label in judged.items() if label != GOOD]
    silence: dict[str, str] = {}
    counts = Counter[str](verdict.verdict for verdict in verdicts)
    labelled = Counter[str](verdicts[place].verdict for place in judged)
    return Lot(
        verdicts=tuple(verdicts),
        counts={name: counts[name] for name in ("good", "review", "anomalous", "error")},
        labelled={name: labelled[name] for name in ("good", "review", "anomalous")},
        overkill=(sum(one.verdict == "anomalous" for one in good), len(good)),
        escapes=(sum(one.verdict == "good" for one in bad), len(bad)),
        fair=_fair(counts, labelled),
        mistakes=tuple(
            (verdicts[place].path, label, verdicts[place].verdict)
            for place, label in judged.items()
            if verdicts[place].verdict == ("anomalous" if label == GOOD else "good")
        ),
        costs=_costs(good, bad, prices, _one_threshold(verdicts), silence),
        recheck=_recheck(verdicts, calibration, false_discoveries, silence),
        drift=_drift(verdicts, calibration, silence),
        silence=silence,
    )


def _check(prices: Prices) -> None:
    for value in (prices.overkill, prices.escape):
        if not (math.isfinite(value) and value >= 0):
            raise UsageError(f"What a mistake costs is a number of 0 or more, not {value}.")
    if prices.defective is not None and not 0 < prices.defective < 1:
        raise UsageError(f"The share of defective parts lies between 0 and 1; it is {prices.defective}.")


def _one_threshold(verdicts: Sequence[Verdict]) -> float | None:
    found = {verdict.threshold for verdict in verdicts}
    return found.pop() if len(found) == 1 else None


def _fair(counts: Mapping[str, int], labelled: Mapping[str, int]) -> bool:
    """Whether each verdict's share of labelled pictures is within a tenth of the others'."""
    shares = [labelled.get(name, 0) / counts[name] for name in ("good", "review", "anomalous") if counts.get(name)]
    return not shares or max(shares) - min(shares) <= 0.1


def _costs(
    good: Sequence[Verdict],
    bad: Sequence[Verdict],
    prices: Prices | None,
    threshold: float | None,
    silence: dict[str, str],
) -> Costs | None:
    if prices is None:
        silence["costs"] = "No prices were given (--cost-overkill and --cost-escape)."
        return None
    if not good or not bad:
        silence["costs"] = "A cost curve needs labels of good and of defective pictures (--labels)."
        return None
    defective = prices.defective if prices.defective is not None else len(bad) / (len(good) + len(bad))
    normal, anomalous = np.sort([one.score for one in good]), np.sort([one.score for one in bad])

    def at(cut: float) -> CostPoint:
        rejected = 1 - np.searchsorted(normal, cut, "right") / len(normal)
        passed = np.searchsorted(anomalous, cut, "right") / len(anomalous)
        cost = 1000 * ((1 - defective) * rejected * prices.overkill + defective * passed * prices.escape)
        return CostPoint(float(cut), float(cost))

    cuts = np.unique(np.concatenate([[0.0], normal, anomalous]))
    every = [at(float(cut)) for cut in cuts]
    cheapest = min(every, key=lambda point: (point.cost, -point.threshold))
    kept = np.unique(np.linspace(0, len(every) - 1, _MOST_POINTS).round().astype(int)).tolist()
    return Costs(
        prices, defective, tuple(every[i] for i in kept), at(threshold) if threshold is not None else None, cheapest
    )


def _recheck(
    verdicts: Sequence[Verdict], calibration: Calibration | None, share: float, silence: dict[str, str]
) -> Recheck | None:
    places = [place for place, verdict in enumerate(verdicts) if verdict.p_value is not None]
    if calibration is None or not places:
        silence["recheck"] = "Needs the bundle that judged (--bundle), with a calibration."
        return None
    n = min([calibration.n, *(group.n for group in calibration.groups.values())])
    try:
        found = recheck([verdicts[place].p_value or 1.0 for place in places], share, n)
    except CalibrationError as error:
        silence["recheck"] = str(error)
        return None
    return replace(found, chosen=tuple(places[index] for index in found.chosen))


def _drift(verdicts: Sequence[Verdict], calibration: Calibration | None, silence: dict[str, str]) -> Watch | None:
    if calibration is None:
        silence["drift"] = "Needs the bundle that judged (--bundle), with a calibration."
        return None
    places = [place for place, one in enumerate(verdicts) if one.verdict != "error"]
    judged = [verdicts[place] for place in places]
    try:
        found = watch_good(calibration, [one.score for one in judged], [one.conditions for one in judged])
    except CalibrationError as error:
        silence["drift"] = str(error)
        return None
    watched = [place for place in places if verdicts[place].score < calibration.threshold]
    return replace(found, alarms=tuple(replace(alarm, place=watched[alarm.place]) for alarm in found.alarms))
