"""Drift: the martingale is that of crepes, it alarms falsely as rarely as it says, and names what has changed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from diffusionad.calibration import calibrate, capital, semi_online, watch, watch_good
from diffusionad.errors import CalibrationError


def test_p_values_and_capital_are_those_of_crepes() -> None:
    martingales = pytest.importorskip("crepes.martingales")
    rng = np.random.default_rng(0)
    values = np.round(np.concatenate([rng.normal(size=80), rng.normal(0.5, 1, 200)]), 1)  # with ties
    theirs = martingales.semi_online_p_values(values, seed=5)
    np.random.seed(5)  # noqa: NPY002 - crepes draws from numpy's global generator
    draws = SimpleNamespace(random=iter(np.random.rand(280)[80:]).__next__)  # noqa: NPY002
    ours = semi_online(values[:80].tolist(), values[80:].tolist(), draws)
    np.testing.assert_allclose(ours, theirs[80:], rtol=1e-12)
    np.testing.assert_allclose(capital(ours), martingales.SimpleJumper().apply(np.asarray(ours)), rtol=1e-10)


def test_p_values_are_uniform_with_ties_too() -> None:
    rng = np.random.default_rng(1)
    found = np.concatenate(
        [semi_online(np.round(rng.random(20), 1), np.round(rng.random(50), 1).tolist(), rng) for _ in range(100)]
    )
    counts = np.histogram(found, bins=10, range=(0, 1))[0]
    assert abs(counts - 500).max() < 5 * math.sqrt(450)


def test_it_alarms_falsely_no_more_often_than_it_says() -> None:
    """Two values that depend on each other, streams of 300: over 300 lines without drift, at most one in ten alarms."""
    rng = np.random.default_rng(2)
    alarms = 0
    for run in range(300):
        score = rng.normal(size=340)
        both = {"score": score, "focus": score + rng.normal(size=340)}
        known, stream = ({name: v[part].tolist() for name, v in both.items()} for part in (slice(40), slice(40, None)))
        alarms += bool(watch(known, stream, 0.1, seed=run).alarms)
    assert alarms / 300 <= 0.1 + 3 * math.sqrt(0.09 / 300)


@pytest.mark.parametrize(("shift", "within"), [(1.0, 200), (-1.0, 200)])
def test_a_shift_is_found_and_the_value_that_moved_is_named(shift: float, within: int) -> None:
    rng = np.random.default_rng(3)
    places = []
    for run in range(15):
        known = {name: rng.normal(size=300).tolist() for name in ("score", "brightness", "focus")}
        stream = {name: rng.normal(size=500) for name in known}
        stream["brightness"][100:] += shift
        found = watch(known, {name: values.tolist() for name, values in stream.items()}, 0.01, seed=run)
        assert [(one.name, one.rising) for one in found.alarms] == [("brightness", shift > 0)]
        assert found.alarms[0].capital >= 300
        places.append(found.alarms[0].place)
    assert min(places) >= 100
    assert np.median(places) < 100 + within


def test_defects_are_no_drift_and_the_sentence_names_the_cause() -> None:
    """A quarter of the stream is defective and dark: without them nothing changed. Later every picture is darker."""
    rng = np.random.default_rng(5)
    light = rng.normal(size=200)
    known = calibrate(rng.normal(size=200).tolist(), 0.02, conditions={"brightness": light.tolist()})
    scores = np.where(np.arange(400) % 4 == 0, 9.0, rng.normal(size=400))
    dark = np.where(scores > 8, -9.0, rng.normal(size=400))
    as_rows = [{"brightness": value, "unknown": 1.0} for value in dark]
    calm = watch_good(known, scores.tolist(), as_rows)
    assert (calm.names, calm.alarms) == (("score", "brightness"), ())
    assert calm.pictures == sum(score <= known.threshold for score in scores)
    assert calm.sentence().startswith(f"No drift in {calm.pictures} pictures against {calm.n} of the calibration")
    later = watch_good(known, scores.tolist(), [{"brightness": value - 1.0} for value in dark])
    assert [one.name for one in later.alarms] == ["brightness"]
    assert "pictures are darker (likely cause: less light, or dirt)" in later.sentence()
    without = watch_good(known, scores.tolist(), [{} for _ in dark])
    assert without.names == ("score",)


def test_of_good_pictures_it_alarms_falsely_no_more_often_than_it_says() -> None:
    """The threshold picks whom to watch, from the same scores: over 200 lines without drift, at most one in ten."""
    rng, alarms = np.random.default_rng(6), 0
    for run in range(200):
        known = calibrate(rng.normal(size=60).tolist(), 0.1)
        alarms += bool(watch_good(known, rng.normal(size=240).tolist(), [{}] * 240, 0.1, seed=run).alarms)
    assert alarms / 200 <= 0.1 + 3 * math.sqrt(0.09 / 200)


def test_the_answer_repeats() -> None:
    rng = np.random.default_rng(4)
    known, stream = {"score": [0.1] * 30}, {"score": rng.choice([0.1, 0.2], 50).tolist()}
    assert watch(known, stream) == watch(known, stream)


@pytest.mark.parametrize(
    ("known", "stream", "share", "said"),
    [
        ({"score": [0.1] * 9}, {"score": [0.1]}, 0.01, "10 calibration pictures or more; there are 9"),
        ({"score": [0.1] * 10}, {"score": []}, 0.01, "nothing to watch"),
        ({"score": [0.1] * 10}, {"focus": [0.1]}, 0.01, "nothing to watch"),
        ({"score": [0.1] * 10}, {"score": [math.nan]}, 0.01, "not finite"),
        ({"score": [0.1] * 10}, {"score": [0.1]}, 0.0, "between 0 and 1"),
        ({"score": [0.1] * 10}, {"score": [0.1]}, 1.0, "between 0 and 1"),
    ],
)
def test_what_cannot_be_watched(
    known: dict[str, list[float]], stream: dict[str, list[float]], share: float, said: str
) -> None:
    with pytest.raises(CalibrationError, match=said):
        watch(known, stream, share)
