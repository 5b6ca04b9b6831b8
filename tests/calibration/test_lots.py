"""Benjamini-Hochberg: the list of scipy, the promised share of false discoveries, and the refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from diffusionad.calibration import calibrate, recheck
from diffusionad.errors import CalibrationError


def test_the_list_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for share in (0.05, 0.1, 0.3):
        for _ in range(40):
            p_values = np.concatenate([rng.random(80), rng.random(20) / 100])
            chosen = recheck(p_values.tolist(), share, 10**6).chosen
            assert set(chosen) == set(np.flatnonzero(false_discovery_control(p_values) <= share).tolist())
            assert sorted(chosen, key=lambda place: p_values[place]) == list(chosen)


def test_at_most_the_share_of_the_list_is_good_on_average() -> None:
    """All p-values of a lot share one calibration set; the expected share of good ones in the list stays below."""
    rng = np.random.default_rng(1)
    wrong = []
    for _ in range(400):
        calibration = calibrate(rng.normal(0, 1, 400).tolist())
        lot = [*rng.normal(0, 1, 60), *rng.normal(4, 1, 15)]
        found = recheck([calibration.p_value(score) for score in lot], 0.2, 400).chosen
        wrong.append(sum(place < 60 for place in found) / len(found) if found else 0.0)
    assert np.mean(wrong) <= 0.2 * 60 / 75 + 4 * np.std(wrong) / math.sqrt(len(wrong))
    assert np.mean(wrong) > 0.08


def test_the_sentence_says_what_to_do() -> None:
    found = recheck([1 / 1000, *[0.5] * 9], 0.1, 999)
    assert found.chosen == (0,)
    assert found.sentence().startswith("Recheck this one of 10")
    assert "nothing to recheck" in recheck([0.5, 0.9, 0.7], 0.4, 99).sentence()


def test_a_calibration_too_small_for_the_lot_is_refused_and_its_number_suffices() -> None:
    lot = [1 / 101] * 2 + [0.6] * 998
    with pytest.raises(CalibrationError, match=r"name 100 or more at once. Use 4999 good") as caught:
        recheck(lot, 0.1, 100)
    assert caught.value.code == "calibration.too_few_for_lot"
    assert recheck([1 / 5000] * 2 + [0.6] * 998, 0.1, 4999).chosen == (0, 1)
    with pytest.raises(CalibrationError):
        recheck([1 / 4999] * 2 + [0.6] * 998, 0.1, 4998)
    assert len(recheck([1 / 101] * 100 + [0.6] * 900, 0.1, 100).chosen) == 100


@pytest.mark.parametrize("p_values", [[0.5, 0.9], [1 / 6, 1 / 6]])
def test_with_too_few_pictures_no_list_is_possible_whatever_the_lot(p_values: list[float]) -> None:
    with pytest.raises(CalibrationError, match="or more at once"):
        recheck(p_values, 0.1, 5)


@pytest.mark.parametrize(
    ("p_values", "share", "said"),
    [
        ([], 0.1, "empty"),
        ([0.5, math.nan], 0.1, "1 of 2 p-values"),
        ([0.0, 2.0], 0.1, "2 of 2 p-values"),
        ([0.5], 0.0, "between 0 and 1"),
        ([0.5], 1.0, "between 0 and 1"),
    ],
)
def test_what_cannot_be_a_lot(p_values: list[float], share: float, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        recheck(p_values, share, 100)
