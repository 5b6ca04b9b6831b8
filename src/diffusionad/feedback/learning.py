"""One round: what was told becomes a data version, a candidate is trained from it, and the gate decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from diffusionad.bundle import Bundle, recalibrate
from diffusionad.calibration import Calibration, check_enough
from diffusionad.comparison import Comparison, compare
from diffusionad.data import By
from diffusionad.errors import BundleError, DataError, UsageError
from diffusionad.feedback.gate import Decision, decide
from diffusionad.feedback.journal import Journal
from diffusionad.feedback.place import Place
from diffusionad.feedback.table import Remark
from diffusionad.files import file_hash
from diffusionad.inspector import Inspector
from diffusionad.recalibration import Wanted, find_calibration
from diffusionad.structures import GOOD, Sample

__all__ = ["Budget", "Round", "learn", "tell"]

Line = Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to fine-tune: seconds, or images to see instead; and where to compute."""

    max_time: float | None = None
    images: int | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round.

    Attributes:
        version: name of the data version.
        old, new: keys of the bundle in use before and of the candidate.
        decision: the gate's.
        compared: both on the frozen set.
        threshold: which pictures the candidate's threshold comes from, in words.
        warnings: sentences a person should read.
        folder: of the fine-tuning.
    """

    version: str
    old: str
    new: str
    decision: Decision
    compared: Comparison
    threshold: str
    warnings: tuple[str, ...]
    folder: Path


def tell(journal: Journal, place: Place, remarks: Sequence[Remark], *, correct: bool = False) -> tuple[int, int]:
    """Write down what is new, with copies of the pictures: how many remarks are, and how many say what is known.

    Args:
        journal: held by this process alone.
        place: from `place_of`.
        remarks: from `read_table`.
        correct: where an earlier remark says the opposite, the new one holds.

    Raises:
        DataError: a picture of the frozen set; a verdict that contradicts the data set, or, unless `correct`, an
            earlier remark. Nothing is written then.
    """
    told, learned = journal.told(), set(journal.bundle.origin.hashes)
    good = {file_hash(sample.path) for sample in place.samples if sample.split == "train" and sample.is_good}
    new = [remark for remark in remarks if not _is_known(remark, place, told, good, learned, correct)]
    events = [
        {
            "event": "told",
            "by": remark.by,
            "verdict": remark.verdict,
            "path": str(remark.path),
            "note": remark.note,
            "picture": remark.hash,
            "file": journal.keep_file(remark.path),
            "mask": journal.keep_file(remark.mask) if remark.mask else None,
        }
        for remark in new
    ]
    if events:
        journal.record(*events)
    return len(new), len(remarks) - len(new)


def learn(
    journal: Journal,
    place: Place,
    tune: Callable[..., Any],
    budget: Budget,
    *,
    by: str,
    good: Sequence[Sample] = (),
    line: Line = lambda text, passing: None,
) -> Round:
    """Fine-tune on all that was told, measure both bundles on the frozen set, and promote the candidate or not.

    Until the gate has let the candidate through, the bundle in use is only read.

    Args:
        journal: held by this process alone.
        place: from `place_of`.
        tune: `training.fine_tune`, which needs torch.
        budget: how long.
        by: who asks.
        good: good pictures never trained on, for the threshold; none: those held back in training.
        line: shows a line of text.

    Raises:
        BundleError: the bundle in use has no threshold to compare with.
        DataError, UsageError, CalibrationError: nothing to learn, or `good` is missing, in other use or too few.
        InterruptedRun, TrainingError, ResourceError: as `fine_tune`; the bundle in use stays.
    """
    old, version = journal.bundle, journal.version
    asked = _asked(old, good)
    if version is None or any(e["version"] == version and e["new"] == old.key for e in journal.of("promoted")):
        raise DataError(
            f"There is nothing new to learn for {old.folder}: no row says what is not known.", code="feedback.nothing"
        )
    _check_good(good, asked, {*place.frozen, *journal.told()})
    folder = journal.folder / "runs" / f"{version}-{old.key}"
    run = _tuned(journal, place, tune, budget, folder, line)
    new, threshold = _calibrated(run.bundle, asked, good, line)
    line("Judging the frozen set with both bundles.", False)
    compared = compare(
        Inspector.load(old.folder), Inspector.load(new.folder), list(place.frozen.values()), data="frozen", line=line
    )
    if unjudged := [pair.first.error or pair.second.error for pair in compared.pairs if not pair.judged]:
        raise DataError(f"A picture of the frozen set cannot be judged: {unjudged[0]}", code="feedback.frozen")
    decision = decide(compared, asked, new.calibration or asked)
    said = {"version": version, "by": by, "images": run.images, "threshold": threshold, "reasons": decision.reasons}
    said["frozen"] = compared.conclusion
    if decision.promote:
        journal.switch("promoted", new, **said)
    else:
        journal.record({"event": "refused", "old": old.key, "new": new.key, **said})
    warnings = (*run.warnings, *_lost(asked, new.calibration or asked))
    return Round(version, old.key, new.key, decision, compared, threshold, warnings, folder)


def _is_known(
    remark: Remark,
    place: Place,
    told: dict[str, dict[str, Any]],
    good: set[str],
    learned: set[str],
    correct: bool,
) -> bool:
    """Whether a remark says nothing new. Raises a DataError where it must not be learned."""
    said = f"{remark.where}, calls {str(remark.path)!r} {remark.verdict}"
    if remark.hash in place.frozen:
        raise DataError(
            f"{remark.where}, names {str(remark.path)!r}, which belongs to the frozen set: it measures candidates and "
            "must not train them. Delete the row.",
            code="feedback.frozen",
        )
    if earlier := told.get(remark.hash):
        if earlier["verdict"] == remark.verdict:
            return remark.mask is None or earlier["mask"] == f"{file_hash(remark.mask)}{remark.mask.suffix.lower()}"
        if not correct:
            raise DataError(
                f"{said}, and {earlier['by']} called it {earlier['verdict']} on {earlier['at'][:10]}: give --correct "
                "if the new verdict holds.",
                code="feedback.contradiction",
            )
        return False
    known = GOOD if remark.hash in good else "anomalous" if remark.hash[:16] in learned else remark.verdict
    if known != remark.verdict:
        raise DataError(
            f"{said}, and the bundle in use was trained with it as {known}: if that was wrong, take it out of the data "
            "set and train anew. Fine-tuning does not unlearn.",
            code="feedback.contradiction",
        )
    return remark.hash in good or remark.hash[:16] in learned


def _asked(old: Bundle, good: Sequence[Sample]) -> Calibration:
    """The calibration of the bundle in use, whose promise the candidate has to keep."""
    if old.calibration is None:
        raise BundleError(f"The bundle {old.folder} is not calibrated: the gate compares verdicts. Calibrate it first.")
    if old.calibration.held_back and not good:
        raise UsageError(
            f"The threshold of {old.folder} comes from {old.calibration.n} pictures given to `calibrate`: give them, "
            "or other good pictures never trained on, with --good, so that the candidate can promise as much."
        )
    return old.calibration


def _check_good(good: Sequence[Sample], asked: Calibration, taken: set[str]) -> None:
    """Before any training: whether these pictures may set the threshold, and are enough."""
    if not good:
        return
    if both := [sample.path for sample in good if sample.path.is_file() and file_hash(sample.path) in taken]:
        raise DataError(
            f"{len(both)} of the pictures for the threshold (the first: {str(both[0])!r}) belong to the frozen set or "
            "come from operators, so they measure or train: give others with --good.",
            code="feedback.good",
        )
    check_enough(len(good), asked.requested, asked.sure)


def _defect(journal: Journal, event: dict[str, Any], bundle: Bundle) -> Sample:
    mask = journal.file(event["mask"]) if event["mask"] else None
    return Sample(journal.file(event["file"]), "train", bundle.origin.category, event["verdict"], mask)


def _tuned(journal: Journal, place: Place, tune: Callable[..., Any], budget: Budget, folder: Path, line: Line) -> Any:
    told = journal.told().values()
    return tune(
        journal.bundle,
        place.root,
        folder,
        layout=place.layout,
        category=place.category,
        good=[journal.file(event["file"]) for event in told if event["verdict"] == GOOD],
        defects=[_defect(journal, event, journal.bundle) for event in told if event["verdict"] != GOOD],
        max_time=budget.max_time,
        images=budget.images,
        device=budget.device,
        line=line,
    )


def _calibrated(made: Bundle, asked: Calibration, good: Sequence[Sample], line: Line) -> tuple[Bundle, str]:
    """The candidate with its threshold, and where that comes from. Pictures from operators have no part in it."""
    if good:
        wanted = Wanted(asked.requested, asked.sure, cast("By | None", asked.group_by))
        made = recalibrate(made, find_calibration(Inspector.load(made.folder), good, wanted, line).calibration)
    count = made.calibration.n if made.calibration else 0
    source = "given with --good" if good else "held back in training"
    return made, f"{count} good pictures {source}; no picture from operators chose it"


def _lost(old: Calibration, new: Calibration) -> list[str]:
    if old.lower is None or new.lower is not None:
        return []
    return [
        "The lower threshold (review) of the bundle in use does not hold for the candidate and is gone: run "
        "`diffusionad calibrate` with --escapes once it is promoted."
    ]
