"""Two bundles on the same pictures: which is right where the other is wrong, and whether that shows which is better."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusionad.data import read_picture
from diffusionad.errors import CalibrationError, DataError
from diffusionad.files import file_hash
from diffusionad.inspector import Inspector
from diffusionad.metrics.counts import least_discordant, mcnemar
from diffusionad.report.pictures import overlay, to_display
from diffusionad.structures import GOOD, Sample, Verdict

__all__ = ["ALPHA", "Comparison", "Pair", "Table", "compare", "comparison_csv"]

ALPHA = 0.05
"""Chance of calling one of two equal bundles better, at most."""

SIDE = 320
"""Longer side of the pictures that show a change, in pixels."""
MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture, judged by both; verdicts without their arrays.

    Attributes:
        defect: true kind of damage; "good" is normal.
        first, second: what A and B say.
        pictures: what A and B found, [H, W, 3] uint8 each; None where nothing changed or enough is shown.
    """

    defect: str
    first: Verdict
    second: Verdict
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    @property
    def judged(self) -> bool:
        return "error" not in (self.first.verdict, self.second.verdict)

    @property
    def changed(self) -> bool:
        return self.first.verdict != self.second.verdict

    @property
    def right(self) -> tuple[bool, bool]:
        return _right(self.first, self.defect), _right(self.second, self.defect)

    @property
    def why(self) -> str:
        """Score against threshold and the strongest region, of both."""
        return f"A: {_reason(self.first)}. B: {_reason(self.second)}."


@dataclass(frozen=True, slots=True)
class Table:
    """Pictures by who was right, and the exact paired test of McNemar on those where only one was."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def p_value(self) -> float:
        return mcnemar(self.only_first, self.only_second)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both bundles on all pictures.

    Attributes:
        pairs: one for each picture.
        keys: of bundle A and B.
        promises: what their thresholds promise, in words.
        promised: the shares, 0..1; None where nothing is.
    """

    pairs: tuple[Pair, ...]
    keys: tuple[str, str]
    promises: tuple[str, str]
    promised: tuple[float | None, float | None]

    def table(self, which: str = "all") -> Table:
        """Of "all", "good" or "defective" pictures; those that one could not judge are left out."""
        counts = dict.fromkeys([(True, True), (True, False), (False, True), (False, False)], 0)
        for pair in self.pairs:
            if pair.judged and which in ("all", "good" if pair.defect == GOOD else "defective"):
                counts[pair.right] += 1
        return Table(counts[True, True], counts[True, False], counts[False, True], counts[False, False])

    @property
    def better(self) -> str | None:
        """The letter A or B where the data show it: fewer mistakes at `ALPHA`, not more of either kind; else None."""
        whole, parts = self.table(), (self.table("good"), self.table("defective"))
        if whole.p_value > ALPHA:
            return None
        if all(part.only_second >= part.only_first for part in parts):
            return "B"
        return "A" if all(part.only_first >= part.only_second for part in parts) else None

    @property
    def conclusion(self) -> str:
        """One paragraph: who is better, or why that cannot be said."""
        whole, good, bad = self.table(), self.table("good"), self.table("defective")
        differ = whole.only_first + whole.only_second
        said = f"On {differ} pictures only one is right: A on {whole.only_first}, B on {whole.only_second}"
        test = f"McNemar exact p = {whole.p_value:.3g}"
        if self.better:
            return f"{self.better} is better on pictures like these. {said} ({test})."
        if differ < least_discordant(ALPHA):
            least = least_discordant(ALPHA)
            return (
                f"These pictures cannot show which is better. {said}; it takes {least} or more, all for one ({test})."
            )
        trade = (good.only_second - good.only_first) * (bad.only_second - bad.only_first) < 0
        if trade:
            fewer, more = ("B", "A") if good.only_second > good.only_first else ("A", "B")
            return (
                f"Neither is better: it is a trade. {fewer} rejects fewer good parts, {more} passes fewer defects. "
                f"{said} ({test}). Compare both at thresholds with the same promise."
            )
        return f"These pictures cannot show which is better. {said}, which chance alone may do ({test})."

    @property
    def caution(self) -> str | None:
        """That the thresholds promise different things; None where they promise the same."""
        if self.promised[0] == self.promised[1]:
            return None
        shares = ["nothing" if share is None else f"{share:.2%}" for share in self.promised]
        return (
            f"The thresholds promise different shares of false alarms (A {shares[0]}, B {shares[1]}): "
            "a part of the difference may be the thresholds' and not the models'."
        )


def compare(
    first: Inspector,
    second: Inspector,
    samples: Sequence[Sample],
    *,
    data: str,
    line: Callable[[str, bool], None] = lambda text, passing: None,
) -> Comparison:
    """Judge every test picture with both bundles.

    Args:
        first, second: bundles A and B, opened.
        samples: of a data set; those of the split "test" are judged.
        data: name of the data set, for messages.
        line: shows progress.

    Raises:
        DataError: there is no test picture, or one trained a bundle (``data.trained_on``).
        CalibrationError: a bundle is not calibrated.
    """
    chosen = [sample for sample in samples if sample.split == "test"]
    if not chosen:
        raise DataError(f"No test picture was found in {data}: expected test/good and test/<defect>.")
    for name, inspector in (("A", first), ("B", second)):
        if inspector.threshold is None:
            raise CalibrationError(
                f"Bundle {name} is not calibrated: give it a threshold with `diffusionad calibrate`."
            )
        _refuse_trained_on(name, inspector, chosen)
    pairs, shown = [], 0
    for number, sample in enumerate(chosen, 1):
        pair = _judge(first, second, sample, draw=shown < MOST_SHOWN)
        shown += pair.pictures is not None
        pairs.append(pair)
        line(f"{number}/{len(chosen)} pictures", True)
    made = [inspector.bundle.calibration for inspector in (first, second)]
    promises = [calibration.sentence() if calibration else "" for calibration in made]
    promised = [calibration.promised if calibration else None for calibration in made]
    return Comparison(
        tuple(pairs), (first.bundle.key, second.bundle.key), (promises[0], promises[1]), (promised[0], promised[1])
    )


def comparison_csv(comparison: Comparison) -> str:
    """One row a picture as CSV text with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("verdict", "score", "threshold", "p_value", "right")
    writer.writerow(["path", "defect", *(f"{name}_{which}" for which in "ab" for name in names), "changed", "why"])
    for pair in comparison.pairs:
        cells: list[Any] = []
        for verdict, right in zip((pair.first, pair.second), pair.right, strict=True):
            score = "" if verdict.verdict == "error" else repr(verdict.score)
            judged = verdict.verdict != "error"
            cells += [verdict.verdict, score, verdict.threshold, verdict.p_value, int(right) if judged else ""]
        path = pair.first.path if pair.first.path[:1] not in "=+-@\t\r" else f"'{pair.first.path}"
        writer.writerow([path, pair.defect, *cells, int(pair.changed), pair.why if pair.changed else ""])
    return text.getvalue()


def _judge(first: Inspector, second: Inspector, sample: Sample, *, draw: bool) -> Pair:
    verdicts = [inspector(sample.path) for inspector in (first, second)]
    pictures = None
    if draw and verdicts[0].verdict != verdicts[1].verdict and all(one.anomaly_map is not None for one in verdicts):
        picture = to_display(read_picture(sample.path))
        drawn = [_drawn(inspector, one, picture) for inspector, one in zip((first, second), verdicts, strict=True)]
        pictures = (drawn[0], drawn[1])
    bare = [replace(one, anomaly_map=None, reconstruction=None) for one in verdicts]
    return Pair(sample.defect, bare[0], bare[1], pictures)


def _drawn(inspector: Inspector, verdict: Verdict, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    assert verdict.anomaly_map is not None  # noqa: S101  (the caller checked)
    view = inspector.view(verdict.native_size)
    shown = view.shown(verdict.anomaly_map)
    return overlay(picture, shown, verdict.threshold, verdict.regions, SIDE, seen=view.source)


def _refuse_trained_on(name: str, inspector: Inspector, chosen: Sequence[Sample]) -> None:
    seen = set(inspector.bundle.origin.hashes)
    known = [one.path for one in chosen if one.path.is_file() and file_hash(one.path)[:16] in seen]
    if known:
        raise DataError(
            f"{len(known)} of {len(chosen)} test pictures trained bundle {name} (the first: {known[0]}): "
            "compare on pictures that neither has seen.",
            code="data.trained_on",
        )


def _right(verdict: Verdict, defect: str) -> bool:
    """No false alarm and no miss; review is neither."""
    return verdict.verdict != ("anomalous" if defect == GOOD else "good")


def _reason(verdict: Verdict) -> str:
    if verdict.verdict == "error":
        return f"could not be judged ({verdict.error_code})"
    said = f"{verdict.verdict}, score {verdict.score:.4f}, threshold {verdict.threshold:.4f}"
    if not verdict.regions:
        return said
    x, y, width, height = verdict.regions[0].box
    return f"{said}, strongest region {width} x {height} px at ({x}, {y}) with peak {verdict.regions[0].peak:.2f}"
