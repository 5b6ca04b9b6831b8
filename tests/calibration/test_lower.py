"""Good, review, anomalous: escapes stay below the promise with the certainty that was stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta

from diffusionad.calibration import Lower, calibrate, lower_threshold
from diffusionad.errors import CalibrationError

GOOD = [number / 100 for number in range(60)]


@pytest.mark.parametrize(("n", "escapes", "sure"), [(60, 0.05, 0.9), (200, 0.05, 0.9), (60, 0.2, 0.95)])
@pytest.mark.parametrize("ties", [False, True])
def test_escapes_exceed_the_promise_as_rarely_as_it_says(n: int, escapes: float, sure: float, ties: bool) -> None:
    rng = np.random.default_rng(n)
    draws, broken = 1000, 0
    for _ in range(draws):
        scores = rng.random(n)
        scores = np.round(scores, 2) if ties else scores
        lower = lower_threshold(scores.tolist(), escapes, sure)
        below = max(0.0, lower.threshold - 0.005) if ties else lower.threshold  # P(rounded < threshold), exactly
        broken += below > escapes
    assert broken / draws <= 1 - sure + 4 * math.sqrt((1 - sure) / draws)
    if not ties:
        place = lower.scores.index(lower.threshold) + 1
        assert broken / draws == pytest.approx(beta.sf(escapes, place, n + 1 - place), abs=0.04)


def test_three_verdicts() -> None:
    lower = lower_threshold([0.4 + number / 100 for number in range(60)], 0.05)
    calibration = calibrate(GOOD, 0.05, lower=lower)
    assert lower.threshold < calibration.threshold
    judged = [calibration.judge(score) for score in (0.1, lower.threshold, calibration.threshold, 0.99)]
    assert judged == ["good", "review", "review", "anomalous"]
    assert "60 real defects: 90 % sure that at most 1 in 26 defective" in calibration.sentence()


def test_defects_far_above_the_good_leave_nothing_to_review() -> None:
    calibration = calibrate(GOOD, 0.05, lower=lower_threshold([5.0 + number for number in range(60)], 0.05))
    assert {calibration.judge(score) for score in GOOD} == {"good", "anomalous"}


def test_planted_defects_are_not_a_guarantee() -> None:
    lower = lower_threshold(GOOD, 0.05, source="planted")
    assert lower.promised is None
    assert "NOT A GUARANTEE" in lower.sentence()


@pytest.mark.parametrize(
    ("count", "escapes", "said"),
    [
        (0, 0.05, "0 defects are too few"),
        (29, 0.5, r"Take 30 \(1 more\)"),
        (30, 0.05, r"With 30 the best is 7.4 %\. Take 45 \(15 more\)"),
    ],
)
def test_too_few_defects_are_refused_with_what_is_possible(count: int, escapes: float, said: str) -> None:
    with pytest.raises(CalibrationError, match=said) as caught:
        lower_threshold(GOOD[:count], escapes)
    assert caught.value.code == "calibration.too_few_defects"


@pytest.mark.parametrize(
    ("scores", "escapes", "sure", "said"),
    [
        (GOOD, 0.0, 0.9, "share of escapes"),
        (GOOD, 1.0, 0.9, "share of escapes"),
        (GOOD, 0.1, 1.0, "certainty"),
        ([*GOOD, math.nan], 0.1, 0.9, "1 of 61 scores of defects are not finite"),
    ],
)
def test_what_cannot_be_asked(scores: list[float], escapes: float, sure: float, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        lower_threshold(scores, escapes, sure)


def test_it_is_one_of_the_scores_and_order_does_not_matter() -> None:
    lower = lower_threshold(GOOD[::-1], 0.1)
    assert isinstance(lower, Lower)
    assert lower == lower_threshold(GOOD, 0.1)
    assert lower.threshold in lower.scores
