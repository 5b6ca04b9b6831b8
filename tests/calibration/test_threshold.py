from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from diffusionad.calibration import Calibration, calibrate, from_json, lower_threshold
from diffusionad.errors import CalibrationError, PictureError

level = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
score_lists = st.lists(level | st.floats(0, 1), min_size=1, max_size=60)
shares = st.sampled_from(["0.005", "0.01", "0.02", "0.05", "0.07", "0.1", "0.25", "0.3", "0.5", "0.9"]).map(float)


def usable(scores: list[float]) -> None:
    assume(len(scores) == 1 or min(scores) < max(scores))


@settings(max_examples=100)
@given(score_lists, shares)
def test_threshold_is_the_lowest_score_that_keeps_the_share(scores: list[float], share: float) -> None:
    usable(scores)
    calibration = calibrate(scores, share)
    n, wanted = len(scores), Decimal(repr(share))
    k = next((k for k in range(1, n + 1) if k >= (n + 1) * (1 - wanted)), n)  # ceil by search, in decimals
    assert calibration.threshold == sorted(scores)[k - 1]
    assert calibration.promised == ((n + 1 - k) / (n + 1) if n >= 10 else None)
    assert (n >= calibration.needed) == ((n + 1) * wanted >= 1)
    if calibration.promised is not None and n >= calibration.needed:
        assert calibration.promised <= share


@settings(max_examples=100)
@given(score_lists.filter(lambda scores: len(scores) >= 10), shares, level | st.floats(-1, 2))
def test_above_the_threshold_exactly_when_the_p_value_keeps_the_promise(
    scores: list[float], share: float, score: float
) -> None:
    usable(scores)
    calibration = calibrate(scores, share)
    assert calibration.promised is not None
    for probe in (score, *scores, math.nextafter(calibration.threshold, 2.0)):
        assert (probe > calibration.threshold) == (calibration.p_value(probe) <= calibration.promised)


@given(score_lists, level | st.floats(-1, 2))
def test_p_value_counts_one_by_one(scores: list[float], score: float) -> None:
    usable(scores)
    assert calibrate(scores).p_value(score) == (1 + sum(one >= score for one in scores)) / (len(scores) + 1)


@pytest.mark.parametrize(("n", "share"), [(20, 0.1), (41, 0.01), (99, 0.01), (200, 0.05), (15, 0.5)])
@pytest.mark.parametrize("ties", [False, True])
def test_the_promise_holds_over_many_calibrations(n: int, share: float, ties: bool) -> None:
    rng = np.random.default_rng(n)
    draws, new = 2000, 20
    alarms = 0
    for _ in range(draws):
        scores = rng.beta(2, 8, n + new)
        scores = np.round(scores, 1) if ties else scores
        calibration = calibrate(scores[:n].tolist(), share)
        alarms += int((scores[n:] > calibration.threshold).sum())
    assert calibration.promised is not None
    rate = alarms / (draws * new)
    spread = 4 * math.sqrt(calibration.promised / draws)
    assert rate <= calibration.promised + spread
    if not ties:  # without ties the promise is not only kept but used up
        assert rate >= calibration.promised - spread


def test_p_values_of_good_pictures_are_uniform() -> None:
    rng = np.random.default_rng(0)
    values = []
    for _ in range(2000):
        *scores, new = rng.random(20).tolist()
        values.append(round(calibrate(scores).p_value(new) * 20))
    counts = np.bincount(values, minlength=21)[1:]
    assert counts.sum() == 2000
    assert (abs(counts - 100) < 50).all()


@pytest.mark.parametrize(
    ("share", "needed"), [(0.01, 99), (0.02, 49), (0.005, 199), (0.5, 1), (0.3, 3), (0.07, 14), (0.9, 1)]
)
def test_needed_is_the_first_number_that_suffices(share: float, needed: int) -> None:
    scores = [number / 1000 for number in range(400)]
    assert calibrate(scores, share).needed == needed
    enough = max(needed, 10)
    assert calibrate(scores[:enough], share).promised <= share
    if needed > 10:
        assert calibrate(scores[: needed - 1], share).promised > share


def scores_of(n: int) -> list[float]:
    return [number / n for number in range(n)]


@pytest.mark.parametrize(
    ("n", "share", "sentence"),
    [
        (
            41,
            0.01,
            "Made from 41 good pictures never trained on: at most 1 in 42 good pictures is called anomalous on "
            "average, as long as new pictures are taken like these. "
            "For 1 in 100, calibrate with 99 pictures (58 more).",
        ),
        (
            99,
            0.01,
            "Made from 99 good pictures never trained on: at most 1 in 100 good pictures is called anomalous on "
            "average, as long as new pictures are taken like these.",
        ),
        (
            250,
            0.01,
            "Made from 250 good pictures never trained on: at most 2 in 251 good pictures are called anomalous on "
            "average, as long as new pictures are taken like these.",
        ),
        (
            7,
            0.02,
            "Made from 7 good pictures never trained on: fewer than 10, so nothing is promised about false alarms. "
            "For 1 in 50, calibrate with 49 pictures (42 more).",
        ),
        (
            1,
            0.5,
            "Made from 1 good picture never trained on: fewer than 10, so nothing is promised about false alarms. "
            "For 1 in 2, calibrate with 10 pictures (9 more).",
        ),
    ],
)
def test_the_sentence_says_what_holds(n: int, share: float, sentence: str) -> None:
    assert calibrate(scores_of(n), share).sentence() == sentence


@pytest.mark.parametrize(
    ("scores", "share", "said"),
    [
        ([], 0.01, "No scores"),
        ([0.1, math.nan], 0.01, "1 of 2 scores are not finite"),
        ([0.1, math.inf, -math.inf], 0.01, "2 of 3 scores are not finite"),
        ([0.5] * 12, 0.01, "All 12 scores are 0.5"),
        ([0.1, 0.2], 0.0, "between 0 and 1"),
        ([0.1, 0.2], 1.0, "between 0 and 1"),
        ([0.1, 0.2], math.nan, "between 0 and 1"),
    ],
)
def test_scores_from_which_no_threshold_can_be_taken(scores: list[float], share: float, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        calibrate(scores, share)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_has_no_p_value(score: float) -> None:
    with pytest.raises(PictureError) as caught:
        calibrate(scores_of(20)).p_value(score)
    assert caught.value.code == "picture.nonfinite"


@given(score_lists, shares)
def test_json_round_trip(scores: list[float], share: float) -> None:
    usable(scores)
    calibration = calibrate(scores, share)
    text = json.dumps(calibration.to_json(), allow_nan=False)
    assert from_json(json.loads(text)) == calibration


def test_order_and_kind_of_numbers_do_not_matter_and_nothing_can_be_changed() -> None:
    scores = np.random.default_rng(0).random(50).astype(np.float32)
    calibration = calibrate(scores)
    assert calibration == calibrate(scores[::-1].tolist())
    assert all(type(score) is float for score in calibration.scores)
    with pytest.raises(FrozenInstanceError):
        calibration.threshold = 0.0


def stored(**changes: object) -> dict[str, object]:
    return {**calibrate(scores_of(20), 0.1).to_json(), **changes}


@pytest.mark.parametrize("wrong", [None, [], "text", 3])
def test_stored_must_be_an_object(wrong: object) -> None:
    with pytest.raises(CalibrationError, match="JSON object"):
        from_json(wrong)


@pytest.mark.parametrize("key", ["rule", "requested", "promised", "needed", "n", "threshold", "scores"])
def test_a_missing_key_is_named(key: str) -> None:
    content = stored()
    del content[key]
    with pytest.raises(CalibrationError, match=f"lacks {key}"):
        from_json(content)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": 1}, "unknown keys: colour"),
        ({"scores": scores_of(20)[::-1]}, "rising order"),
        ({"scores": "0.1"}, "list of numbers"),
        ({"scores": [0.1, "0.2"]}, "list of numbers"),
        ({"scores": [0.1, True]}, "list of numbers"),
        ({"scores": [0.1, 10**400]}, "list of numbers"),
        ({"scores": [0.1, math.nan]}, "not finite"),
        ({"scores": []}, "No scores"),
        ({"requested": "0.1"}, "list of numbers"),
        ({"requested": 0.2}, "promised"),
        ({"requested": 2}, "between 0 and 1"),
        ({"threshold": 0.5}, "threshold = 0.5"),
        ({"threshold": None}, "threshold = None"),
        ({"promised": 0.001}, "promised"),
        ({"promised": None}, "promised"),
        ({"n": 19}, "n = 19"),
        ({"n": "20"}, "n = '20'"),
        ({"needed": 1}, "needed"),
        ({"rule": "quantile"}, "rule"),
    ],
)
def test_what_was_changed_is_refused(changes: dict[str, object], said: str) -> None:
    assert from_json(stored()).n == 20
    with pytest.raises(CalibrationError, match=said):
        from_json(stored(**changes))


def test_stored_before_certainty_groups_and_conditions_came_is_read() -> None:
    first = {"rule", "requested", "promised", "needed", "n", "threshold", "scores"}
    assert from_json({key: value for key, value in stored().items() if key in first}) == calibrate(scores_of(20), 0.1)


@pytest.mark.parametrize(("n", "share", "sure"), [(60, 0.05, 0.9), (300, 0.02, 0.9), (150, 0.05, 0.8)])
def test_a_certain_promise_is_broken_as_rarely_as_it_says(n: int, share: float, sure: float) -> None:
    """Of many calibrations, at most 1 - sure have a threshold above which more than the share of good pictures lies."""
    rng = np.random.default_rng(n)
    draws = 1000
    broken = sum(1 - calibrate(rng.random(n).tolist(), share, sure=sure).threshold > share for _ in range(draws))
    expected = beta_beyond(n, share, sure)
    assert expected <= 1 - sure
    assert broken / draws == pytest.approx(expected, abs=4 * math.sqrt(expected / draws))


def beta_beyond(n: int, share: float, sure: float) -> float:
    """Chance that the share above the threshold, Beta(a, n + 1 - a), is more than asked for."""
    allowed = round(calibrate(scores_of(n), share, sure=sure).level * (n + 1))
    return float(beta.sf(share, allowed, n + 1 - allowed))


def grouped(**options: object) -> Calibration:
    rng = np.random.default_rng(1)
    labels = ["left"] * 60 + ["right"] * 60 + ["new"] * 5
    scores = np.concatenate([rng.beta(2, 8, 60), rng.beta(4, 4, 60), rng.beta(2, 8, 5)]).tolist()
    peaks = [score / 2 + 0.5 for score in scores]
    return calibrate(scores, 0.05, sure=0.9, peaks=peaks, group_by="camera", groups=labels, **options)


def test_each_group_has_its_threshold_and_small_ones_are_named_and_pooled() -> None:
    calibration = grouped()
    assert set(calibration.groups) == {"left", "right"}
    assert calibration.pooled == ("new",)
    assert calibration.of("left").threshold < calibration.of("right").threshold
    assert calibration.of("new") is calibration.of("never seen") is calibration.of(None) is calibration
    assert calibration.of("left").promised <= 0.05
    between = (calibration.of("left").threshold + calibration.of("right").threshold) / 2
    assert (calibration.judge(between, "left"), calibration.judge(between, "right")) == ("anomalous", "good")
    assert calibration.p_value(between, "left") < calibration.p_value(between, "right")
    assert "'left', 'right'" in calibration.sentence()
    assert "the threshold of all pictures holds for: 'new'" in calibration.sentence()


def test_a_group_is_calibrated_by_its_pictures_alone() -> None:
    calibration = grouped()
    rng = np.random.default_rng(1)
    assert calibration.of("left") == calibrate(
        (left := rng.beta(2, 8, 60)).tolist(), 0.05, sure=0.9, peaks=(left / 2 + 0.5).tolist()
    )


def test_the_region_p_value_is_valid_for_any_region_of_a_good_picture() -> None:
    """However many regions a good picture has, one of them is called rare no more often than promised."""
    rng = np.random.default_rng(0)
    draws, rare = 4000, 0
    for _ in range(draws):
        counts = rng.integers(1, 12, 21)  # pictures with one to eleven regions
        peaks = [rng.random(count).tolist() for count in counts]
        calibration = calibrate(scores_of(20), 0.1, peaks=[max(one) for one in peaks[:20]])
        values = [calibration.region_p_value(peak) for peak in peaks[20]]
        rare += min(value for value in values if value is not None) <= 2 / 21
    assert rare / draws == pytest.approx(2 / 21, abs=4 * math.sqrt(0.1 / draws))
    assert calibrate(scores_of(20)).region_p_value(0.5) is None


def test_columns_follow_the_order_of_the_scores_and_survive_storage() -> None:
    lower = lower_threshold([0.5 + number / 200 for number in range(60)], 0.1)
    calibration = grouped(lower=lower, artifact="ab" * 32, held_back=[0.3, 0.1])
    scores = [0.4, 0.1, 0.3, 0.2]
    plain = calibrate(
        scores, 0.3, peaks=[4, 1, 3, 2], sessions=["d", "a", "c", "b"], conditions={"focus": [40, 10, 30, 20]}
    )
    assert plain.peaks == (1, 2, 3, 4)
    assert plain.sessions == ("a", "b", "c", "d")
    assert plain.conditions == {"focus": (10, 20, 30, 40)}
    for one in (calibration, plain):
        assert from_json(json.loads(json.dumps(one.to_json(), allow_nan=False))) == one
    assert calibration.held_back == (0.1, 0.3)


def changed_group(content: dict[str, object], **changes: object) -> dict[str, object]:
    groups = content["groups"]
    assert isinstance(groups, dict)
    return {**content, "groups": {**groups, "left": {**groups["left"], **changes}}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed_group(grouped().to_json(), threshold=0.0), "threshold = 0.0"),
        ({**grouped().to_json(), "group_by": None}, "does not say of what"),
        ({**grouped().to_json(), "peaks": [0.1]}, "give one for each"),
        ({**grouped().to_json(), "sure": 0.8}, "promised"),
        ({**grouped().to_json(), "sure": "0.9"}, "certainty must be a number"),
        ({**grouped().to_json(), "artifact": 7}, "artifact"),
        ({**grouped().to_json(), "sessions": [1] * 125}, "list of texts"),
        ({**grouped().to_json(), "lower": {"source": "defects"}}, "lower threshold lacks"),
        (
            {**stored(), "groups": {"x": calibrate([9.0 + i for i in range(20)], 0.1).to_json()}, "group_by": "camera"},
            "the whole lacks",
        ),
    ],
)
def test_changed_groups_and_columns_are_refused(content: dict[str, object], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        from_json(content)


@pytest.mark.parametrize("sure", [0.0, 1.0, 1.5, math.nan])
def test_a_certainty_that_cannot_be(sure: float) -> None:
    with pytest.raises(CalibrationError, match="certainty lies between 0 and 1"):
        calibrate(scores_of(20), 0.1, sure=sure)


def test_one_session_is_told_and_what_a_certain_promise_says() -> None:
    said = calibrate(scores_of(50), 0.05, sure=0.9, sessions=["monday"] * 50).sentence()
    assert "90 % sure that at most 1 in 22 good pictures is called anomalous" in said
    assert "All are of one session ('monday'): nothing is promised for others." in said
    few = calibrate(scores_of(40), 0.01, sure=0.9).sentence()
    assert "For 1 in 100, calibrate with 230 pictures (190 more)." in few
