"""Laws of chance: every draw can be repeated alone, and streams know nothing of each other."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import numpy as np
import pytest

from diffusionad.rng import Stream, fixed_noise, generator, normal

STREAMS: tuple[Stream, ...] = get_args(Stream)

GOLDEN = {
    "split": [0.5167858979187351, 0.20841131573879812, 0.20014055364870986],
    "order": [0.8996264322889888, 0.13513327779053286, 0.5524563249142712],
    "pair": [0.6916198486052162, 0.529496274995864, 0.47423196845981286],
    "noise": [0.09219435298335676, 0.20140022786443912, 0.10189857390401325],
    "validation": [0.42255534153435614, 0.041509612346685154, 0.19328287040240288],
    "inference": [0.3355432227545445, 0.35075167125444895, 0.6249488199083285],
    "weights": [0.31549178895064656, 0.07241269851395449, 0.14825195874552355],
    "planted": [0.9099025279709743, 0.7496532546535588, 0.250408921095016],
    "real": [0.5425135286475292, 0.5256282867985455, 0.482755167230695],
}
"""First numbers of generator(7, stream, 3), stored: other numbers mean that seeds of old runs no longer repeat them."""


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_give_the_numbers_they_always_gave(stream: Stream) -> None:
    assert generator(7, stream, 3).random(3).tolist() == GOLDEN[stream]


def test_the_noise_of_inference_is_what_it_always_was() -> None:
    first = fixed_noise(0, 3, (32, 48)).ravel()[:3]
    np.testing.assert_allclose(first, [-0.45008158683776855, 1.7906655073165894, -0.7126665115356445], rtol=1e-6)
    first = normal(generator(7, "noise", 3), 3)
    np.testing.assert_allclose(first, [2.683988332748413, 0.15301866829395294, -0.2270779013633728], rtol=1e-6)


def test_the_same_place_draws_the_same_again() -> None:
    np.testing.assert_array_equal(generator(3, "pair", 8).random(50), generator(3, "pair", 8).random(50))


def test_seeds_streams_and_places_are_independent() -> None:
    places = [(seed, stream, place) for seed in (0, 1, 5) for stream in STREAMS for place in (0, 1, 5)]
    draws = {place: generator(*place).standard_normal(400) for place in places}
    for one, other in combinations(places, 2):
        assert abs(float(np.mean(draws[one] * draws[other]))) < 0.3, (one, other)  # six standard errors


def test_drawing_in_one_stream_moves_no_other() -> None:
    alone = generator(3, "noise", 2).random(10)
    busy, noise = generator(3, "pair", 2), generator(3, "noise", 2)
    busy.random(1000)
    np.testing.assert_array_equal(noise.random(10), alone)


def test_normal_noise_has_unit_variance_and_single_precision() -> None:
    noise = normal(np.random.default_rng(0), 3, 100, 101)
    assert noise.shape == (3, 100, 101)
    assert noise.dtype == np.float32
    assert abs(float(noise.mean())) < 0.03
    assert float(noise.std()) == pytest.approx(1, abs=0.02)


def test_the_noise_of_inference_depends_on_seed_and_size_alone() -> None:
    first = fixed_noise(4, 3, (32, 48))
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    np.testing.assert_array_equal(fixed_noise(4, 3, (32, 48)), first)
    assert first.shape == (2, 3, 32, 48)
    assert not np.array_equal(first[0], first[1])  # fine and coarse draw their own
    assert not np.array_equal(fixed_noise(5, 3, (32, 48)), first)
    assert not np.array_equal(fixed_noise(4, 3, (48, 32)).ravel(), first.ravel())
