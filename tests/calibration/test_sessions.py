"""Sessions: the worst is found, alike ones pass the test as often as they should, different ones do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from diffusionad.calibration import Held, calibrate, exchangeable, hold_out_each
from diffusionad.errors import CalibrationError


def test_each_session_is_judged_by_the_others() -> None:
    rng = np.random.default_rng(0)
    scores = [*rng.random(50), *rng.random(50), *(rng.random(50) + 0.5)]
    sessions = ["mon"] * 50 + ["tue"] * 50 + ["wed"] * 50
    held = hold_out_each(scores, sessions, 0.05)
    assert held[0].session == "wed"
    threshold = calibrate(scores[:100], 0.05).threshold
    assert held[0] == Held("wed", 50, sum(score > threshold for score in scores[100:]))
    assert held[0].share > 0.4
    assert hold_out_each(scores, ["mon"] * 150, 0.05) == ()


def test_the_promise_tells_the_worst_session_beside_the_pooled_figure() -> None:
    rng = np.random.default_rng(0)
    scores = [*rng.random(50), *rng.random(50), *(rng.random(50) + 0.5)]
    made = calibrate(scores, 0.05, sessions=["mon"] * 50 + ["tue"] * 50 + ["wed"] * 50)
    by_hand = hold_out_each(scores, ["mon"] * 50 + ["tue"] * 50 + ["wed"] * 50, 0.05)
    assert made.held == by_hand
    alarms = sum(one.false_alarms for one in by_hand)
    assert f"worst 'wed', where {by_hand[0].false_alarms} of 50 good pictures" in made.sentence()
    assert f"all together {alarms} of 150" in made.sentence()
    assert "sessions judged" not in calibrate(scores, 0.05, sessions=["mon"] * 150).sentence()
    assert "All are of one session ('mon')" in calibrate(scores, 0.05, sessions=["mon"] * 150).sentence()
    few = hold_out_each([0.1, 0.1, 0.9], ["a", "a", "b"], 0.05)  # the others tie, or are one
    assert [(one.session, one.false_alarms) for one in few] == [("b", 1), ("a", 0)]


def test_alike_sessions_are_rarely_called_different_and_ties_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    values = np.array([exchangeable(np.round(rng.random(24), 1).tolist(), ["a", "b", "c"] * 8) for _ in range(40)])
    assert (values <= 0.1).mean() <= 0.1 + 4 * np.sqrt(0.09 / 40)
    assert values.mean() > 0.3


def test_the_p_value_is_near_that_of_kolmogorov_and_smirnov() -> None:
    rng = np.random.default_rng(2)
    for shift in (0.0, 0.3, 0.6):
        one, other = rng.normal(0, 1, 40), rng.normal(shift, 1, 60)
        ours = exchangeable([*one, *other], ["a"] * 40 + ["b"] * 60)
        assert ours == pytest.approx(ks_2samp(one, other, method="exact").pvalue, abs=0.05)


def test_another_level_or_spread_is_noticed_and_the_answer_repeats() -> None:
    rng = np.random.default_rng(3)
    labels = ["old"] * 60 + ["new"] * 60
    for new in (rng.normal(1, 1, 60), rng.normal(0, 3, 60)):
        scores = [*rng.normal(0, 1, 60), *new]
        assert exchangeable(scores, labels) < 0.02
        assert exchangeable(scores, labels) == exchangeable(scores, labels)


def test_groups_of_one_and_wrong_labels() -> None:
    assert 0 < exchangeable([0.1, 0.2, 0.9], ["a", "b", "c"]) <= 1
    for scores, labels in (([0.1, 0.2], ["a", "a"]), ([0.1], ["a", "b"]), ([], [])):
        with pytest.raises(CalibrationError, match="two parts"):
            exchangeable(scores, labels)
