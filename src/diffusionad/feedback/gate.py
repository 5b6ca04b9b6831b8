"""The gate: whether a candidate may take the place of the bundle in use. A pure function of paired verdicts."""

from __future__ import annotations

from dataclasses import dataclass

from diffusionad.calibration import Calibration, lower_bound, upper_bound
from diffusionad.calibration.shares import at_most
from diffusionad.comparison import Comparison

__all__ = ["SURE", "Decision", "decide"]

SURE = 0.95
"""Certainty of the bounds; 1 - SURE is the chance from which down false alarms contradict the promise."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate is promoted, and a sentence for each rule."""

    promote: bool
    reasons: tuple[str, ...]


def decide(compared: Comparison, old: Calibration, new: Calibration) -> Decision:
    """Three rules, all of which must hold.

    1. Recall: its lower bound (Clopper and Pearson 1934) on the frozen defects does not fall. A defect is found that is
       not called good.
    2. False alarms on the frozen good pictures do not contradict the candidate's promise: as many or more would come in
       at least 1 - SURE of all cases if the promise held. Without a promise: not more than before.
    3. The promise of the candidate is no weaker than that of the bundle in use.

    Args:
        compared: the bundle in use (A) and the candidate (B) on the frozen set, which has good and defective pictures;
            all of them judged.
        old, new: their calibrations.
    """
    bad, good = compared.table("defective"), compared.table("good")
    defects, parts = (one.both + one.only_first + one.only_second + one.neither for one in (bad, good))
    found = (bad.both + bad.only_first, bad.both + bad.only_second)
    alarms = (parts - good.both - good.only_first, parts - good.both - good.only_second)
    bounds = [lower_bound(hits, defects, SURE) for hits in found]
    at_worst = upper_bound(alarms[1], parts, SURE)
    said = f"false alarms on {alarms[1]} of {parts} good pictures, before {alarms[0]}; at most {at_worst:.1%} with "
    said += f"certainty {SURE:.0%}"
    if new.promised is None:
        within, said = alarms[1] <= alarms[0], f"{said}; nothing is promised, so there may not be more than before."
    else:
        chance = 1 - at_most(alarms[1] - 1, parts, new.promised)
        within = chance >= 1 - SURE
        said += f"; were the promise of {new.promised:.2%} kept, as many or more would have a chance of {chance:.1%}."
    promises = [1.0 if one.promised is None else one.promised for one in (old, new)]
    rules = [
        (
            bounds[1] >= bounds[0],
            f"defects found: {found[1]} of {defects}, before {found[0]}; the recall is at least {bounds[1]:.1%} with "
            f"certainty {SURE:.0%}, before {bounds[0]:.1%}.",
        ),
        (within, said),
        (promises[1] <= promises[0], f"promised share of false alarms: {promises[1]:.2%}, before {promises[0]:.2%}."),
    ]
    return Decision(
        all(holds for holds, _ in rules),
        tuple(f"{'holds' if holds else 'BROKEN'}: {sentence}" for holds, sentence in rules),
    )
