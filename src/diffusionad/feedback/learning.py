"""One round: remarks become a data version, a candidate is trained from it, and the gate decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffusionad.bundle import Bundle
from diffusionad.errors import BundleError, DataError, UsageError
from diffusionad.feedback.gate import Counts, Decision, decide
from diffusionad.feedback.store import Store
from diffusionad.feedback.table import Remark
from diffusionad.feedback.versions import add_remarks, confirmed_of, defects_of, frozen_of
from diffusionad.inspector import Inspector

__all__ = ["Round", "learn", "measure", "remember"]


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round.

    Attributes:
        data: key of the data version.
        old, new: keys of the bundle in use before and of the candidate.
        before, after: what each says of the frozen set.
        decision: the gate's.
        warnings: sentences a person should read.
    """

    data: str
    old: str
    new: str
    before: Counts
    after: Counts
    decision: Decision
    warnings: tuple[str, ...]


def remember(
    store: Store,
    remarks: Sequence[Remark],
    *,
    data: Path | None,
    layout: str,
    category: str | None,
    by: str,
    sampled: bool,
    correct: bool,
) -> dict[str, Any]:
    """Add remarks to the store as a new data version, or take up the latest when they say nothing new.

    Raises:
        UsageError: the data set is not known yet and not given.
        DataError: see `add_remarks`.
    """
    before = store.data()
    if before is None and data is None:
        raise UsageError(
            "Give --data, the data set this bundle was trained on: fine-tuning needs its good pictures. "
            "The store remembers it."
        )
    content = add_remarks(
        store, before, remarks, data=data, layout=layout, category=category, by=by, sampled=sampled, correct=correct
    )
    if before is not None and all(content[name] == before[name] for name in ("pictures", "tests", "data")):
        return before
    key = store.keep_data(content)
    counts = {role: sum(entry["role"] == role for entry in content["pictures"]) for role in _ROLES}
    store.record("data", data=key, by=by, pictures=len(content["pictures"]), **counts)
    return {**content, "key": key}


def learn(
    store: Store,
    version: dict[str, Any],
    tune: Callable[..., Any],
    *,
    by: str,
    max_time: float | None,
    images: int | None,
    device: str,
    line: Callable[[str, bool], None],
) -> Round:
    """Fine-tune on a data version, measure both bundles on the frozen set, and promote the candidate or keep the old.

    Args:
        store: held by this process alone.
        version: a data version, from `remember`.
        tune: `training.fine_tune`, which needs torch.
        by: who asked.
        max_time, images, device, line: as of `fine_tune`.

    Raises:
        DataError: nothing to learn, no defect in the frozen set, or a file of the store is gone; and as `fine_tune`.
    """
    old, frozen = store.bundle, frozen_of(store, version)
    if not any(not is_good for _, is_good, _ in frozen):
        raise DataError(
            "The frozen set holds no defect, so no candidate could be let through the gate: train with a data set that "
            "has test pictures, or go on collecting; about a third of all defects are kept for it. What was said is "
            "kept.",
            code="feedback.no_gate",
        )
    confirmed, defects = confirmed_of(store, version), defects_of(store, version)
    if not confirmed.training and not defects:
        raise DataError(
            "None of the pictures is there to train on: all of them went to the frozen set or the threshold. What was "
            "said is kept; go on collecting.",
            code="feedback.nothing_to_learn",
        )
    place = version["data"]
    run = tune(
        old,
        Path(place["root"]),
        store.folder / "runs" / f"{version['key']}-{old.key}",
        layout=place["layout"],
        category=place["category"],
        confirmed=confirmed,
        defects=defects,
        max_time=max_time,
        images=images,
        device=device,
        line=line,
    )
    store.keep_bundle(old)
    store.keep_bundle(run.bundle)
    store.record("trained", data=version["key"], by=by, old=old.key, new=run.bundle.key, images=run.images)
    line("Measuring both bundles on the frozen set.", False)
    before, after = measure(old, frozen), measure(run.bundle, frozen)
    decision = decide(before, after, run.bundle.calibration.promised if run.bundle.calibration else None)
    told = {
        "data": version["key"],
        "by": by,
        "before": asdict(before),
        "after": asdict(after),
        "reasons": list(decision.reasons),
    }
    if decision.promote:
        store.switch("promoted", run.bundle.key, **told)
    else:
        store.record("kept", **told, old=old.key, new=run.bundle.key)
    return Round(version["key"], old.key, run.bundle.key, before, after, decision, run.warnings)


def measure(bundle: Bundle, frozen: Sequence[tuple[Path, bool, bool]]) -> Counts:
    """What a bundle says of (path, is good, was picked by an operator) each.

    Raises:
        BundleError: it has no threshold.
        DataError: a picture cannot be judged.
    """
    if bundle.calibration is None:
        raise BundleError(f"The bundle {bundle.folder} is not calibrated: the gate compares verdicts.")
    inspector = Inspector.load(bundle.folder)
    kinds: dict[str, list[bool]] = {"defects": [], "good": [], "picked": []}
    for path, is_good, is_picked in frozen:
        verdict = inspector(path)
        if verdict.verdict == "error":
            raise DataError(f"A picture of the frozen set cannot be judged: {verdict.error}", code="feedback.history")
        if is_good:
            kinds["picked" if is_picked else "good"].append(verdict.verdict == "anomalous")
        else:
            kinds["defects"].append(verdict.verdict != "good")
    return Counts(
        sum(kinds["defects"]),
        len(kinds["defects"]),
        sum(kinds["good"]),
        len(kinds["good"]),
        sum(kinds["picked"]),
        len(kinds["picked"]),
    )


_ROLES = ("training", "calibration", "frozen")
