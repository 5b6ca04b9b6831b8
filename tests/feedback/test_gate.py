"""The gate: laws over all small tables of paired verdicts, against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from diffusionad.calibration import Calibration, calibrate
from diffusionad.comparison import Comparison, Pair
from diffusionad.feedback import decide
from diffusionad.feedback.gate import SURE
from diffusionad.structures import Verdict

SCORES = np.linspace(0.1, 0.2, 99)
PROMISED = calibrate(SCORES)


def compared(found: tuple[int, int], defects: int, alarms: tuple[int, int], parts: int) -> Comparison:
    """Both bundles, (in use, candidate) each; the pictures on which they are right are drawn apart."""
    pairs = []
    for defect, hits, of, hit in (("bar", found, defects, "anomalous"), ("good", alarms, parts, "anomalous")):
        for place in range(of):
            words = [hit if place < hits[0] else "good", hit if of - place <= hits[1] else "good"]
            pairs.append(Pair(defect, *(verdict(word) for word in words)))
    return Comparison(tuple(pairs), ("a", "b"), ("", ""), (0.01, 0.01))


def verdict(word: str) -> Verdict:
    return Verdict("x.png", word, 0.5, 0.5, 0.5, [], (8, 8), 1.0)  # type: ignore[arg-type]


def test_the_decision_is_the_three_rules_and_nothing_else() -> None:
    for old, new, alarms in itertools.product(range(6), range(6), range(8)):
        decision = decide(compared((old, new), 5, (3, alarms), 7), PROMISED, PROMISED)
        chance = float(stats.binom.sf(alarms - 1, 7, 0.01))
        assert decision.promote == (new >= old and chance >= 1 - SURE), (old, new, alarms)
        assert sum(reason.startswith("BROKEN") for reason in decision.reasons) == (new < old) + (chance < 1 - SURE)


def test_the_bounds_told_are_those_of_clopper_and_pearson() -> None:
    recall, alarms, _ = decide(compared((30, 36), 40, (0, 1), 50), PROMISED, PROMISED).reasons
    low = stats.binomtest(36, 40).proportion_ci(0.9, "exact").low  # 95 % from one side
    high = stats.binomtest(1, 50).proportion_ci(0.9, "exact").high
    assert f"at least {low:.1%}" in recall
    assert "36 of 40, before 30" in recall
    assert f"at most {high:.1%}" in alarms


def test_a_bundle_passes_against_itself_where_it_keeps_its_promise() -> None:
    for found in range(11):
        assert decide(compared((found, found), 10, (0, 0), 30), PROMISED, PROMISED).promote


def test_without_a_promise_there_may_not_be_more_false_alarms() -> None:
    few = calibrate(SCORES[:5])
    assert few.promised is None
    for before, after in itertools.product(range(4), range(4)):
        assert decide(compared((1, 1), 2, (before, after), 3), few, few).promote == (after <= before)


@pytest.mark.parametrize("weaker", [calibrate(SCORES[:50]), calibrate(SCORES[:5])])
def test_a_weaker_promise_is_refused_however_good_the_candidate(weaker: Calibration) -> None:
    both = compared((0, 10), 10, (5, 0), 30)
    assert not decide(both, PROMISED, weaker).promote
    assert decide(both, weaker, PROMISED).promote
