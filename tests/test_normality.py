"""Laws of normality: each place has its own habit; distances are Mahalanobis's; units are what good pictures reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusionad.normality import BLOCK, EVEN, FLOOR, SOFT, USUAL, Evidence, Habit, Normality, Tail

PLACES = (8, 12)
STIR = 0.05


def features(count: int, seed: int = 0, scale: Tensor | float = 1.0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(6, *PLACES, generator=chance) * scale for _ in range(count)]


def fitted(training: list[Tensor], *, pooled: bool = False, levelled: bool = False) -> Habit:
    habit = Habit(6, PLACES, STIR, pooled=pooled, levelled=levelled)
    habit.fit(lambda: training)
    return habit


def distance(off: np.ndarray, covariance: np.ndarray) -> float:
    squared = off @ np.linalg.solve(covariance + STIR**2 * np.eye(6), off) / 6
    return float(0.5 * np.log(squared + FLOOR))


def test_it_is_the_mahalanobis_distance_worked_out_place_by_place_in_numpy() -> None:
    training, seen = features(20), features(1, seed=5, scale=3)[0]
    table = np.stack([picture.double().numpy() for picture in training])
    centred = table - table.mean(axis=0)
    blocks = {
        (row, column): np.cov(
            centred[:, :, row : row + BLOCK, column : column + BLOCK].transpose(1, 0, 2, 3).reshape(6, -1), bias=True
        )
        for row in range(0, 8, BLOCK)
        for column in range(0, 12, BLOCK)
    }
    everywhere = np.mean(list(blocks.values()), axis=0)
    share = 6 / (6 + 20)
    got, off = fitted(training)(seen[None])[0], seen.double().numpy() - table.mean(axis=0)
    for row in range(8):
        for column in range(12):
            here = blocks[row // BLOCK * BLOCK, column // BLOCK * BLOCK]
            wanted = distance(off[:, row, column], (1 - share) * here + share * everywhere)
            assert got[row, column].item() == pytest.approx(wanted, abs=1e-3)


def test_pooled_it_is_one_mahalanobis_distance_over_all_places() -> None:
    training, seen = features(20), features(1, seed=5, scale=3)[0]
    habit = fitted(training, pooled=True)
    table = torch.cat([picture.flatten(1) for picture in training], dim=1).double().numpy()
    got = habit(seen[None])[0].flatten()
    for place, column in enumerate(seen.flatten(1).double().numpy().T):
        wanted = distance(column - table.mean(axis=1), np.cov(table, bias=True))
        assert got[place].item() == pytest.approx(wanted, abs=1e-3)


def test_the_same_features_are_usual_where_good_parts_have_them_and_unusual_elsewhere() -> None:
    scale = torch.full(PLACES, 0.1)
    scale[:, :4] = 2.0
    strange = torch.full((1, 6, *PLACES), 1.0)
    found = fitted(features(60, scale=scale))(strange)[0]
    assert found[:, :4].max() < found[:, 4:].min() - 1


def test_what_every_good_picture_shows_is_nearest_to_usual() -> None:
    habit = features(1, seed=1)[0]
    model = fitted([habit + picture for picture in features(40, scale=0.1)])
    assert model(habit[None]).max() < model(-habit[None]).median()


@pytest.mark.parametrize("case", ["constant", "two", "one"])
def test_poor_pictures_still_give_finite_distances(case: str) -> None:
    training = {"constant": [torch.zeros(6, *PLACES)] * 8, "two": features(2), "one": features(1)}[case]
    habit = fitted(training)
    quiet, loud = habit(training[0][None]), habit(torch.stack(features(1, seed=4, scale=9)))
    assert torch.isfinite(quiet).all()
    assert torch.isfinite(loud).all()
    assert loud.mean() > quiet.mean() + 0.5


def test_levelled_the_light_of_a_picture_is_its_own_and_a_part_of_it_is_not() -> None:
    chance = torch.Generator().manual_seed(3)
    light = [5 * torch.randn(6, 1, 1, generator=chance) for _ in range(40)]
    training = [picture + by for picture, by in zip(features(40, scale=0.2), light, strict=True)]
    level, plain = fitted(training, levelled=True), fitted(training)
    seen = features(1, seed=9, scale=0.2)[0][None]
    torch.testing.assert_close(level(seen + 20), level(seen), rtol=0, atol=1e-2)
    assert plain(seen + 20).mean() > plain(seen).mean() + 1
    stained = seen.clone()
    stained[..., :3, :4] += 2
    found = level(stained) - level(seen)
    assert found[0, :3, :4].mean() > 1.5
    assert found[0, 4:].abs().mean() < 0.1
    assert found[0, :3, :4].mean() > (plain(stained) - plain(seen))[0, :3, :4].mean() + 0.5


def test_the_middle_of_a_picture_is_the_median_of_its_parts() -> None:
    training = features(12)
    habit, other = fitted(training, levelled=True), fitted(training)
    seen = features(1, seed=4)[0][None]
    apart = seen - other.mean
    middle = np.sort(apart.numpy().reshape(6, -1), axis=1)[:, 8 * 12 // 2 - 1]  # of 96 parts, each of one place
    wanted = apart - torch.from_numpy(middle)[None, :, None, None]
    torch.testing.assert_close(habit._apart(seen, habit.mean), wanted, rtol=0, atol=1e-4)


def test_the_order_of_the_pictures_does_not_matter() -> None:
    training, seen = features(12), torch.stack(features(1, seed=4))
    torch.testing.assert_close(fitted(training)(seen), fitted(training[::-1])(seen), rtol=0, atol=1e-4)


def test_a_place_keeps_its_habit_through_blocks_and_batches() -> None:
    habit, seen = fitted(features(12)), torch.stack(features(3, seed=4))
    for index in range(3):
        torch.testing.assert_close(habit(seen[index : index + 1])[0], habit(seen)[index], rtol=0, atol=1e-5)


def test_a_side_that_is_no_multiple_of_a_block_has_smaller_blocks() -> None:
    habit = Habit(2, (6, 9), STIR)
    assert habit.whitening.shape == (3 * 9, 2, 2)
    pictures = [torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(n)) for n in range(9)]
    habit.fit(lambda: pictures)
    assert habit(torch.zeros(1, 2, 6, 9)).shape == (1, 6, 9)


def test_a_unit_is_the_mean_excess_over_what_good_pixels_stay_below() -> None:
    values = torch.distributions.Exponential(2.0).icdf(torch.linspace(0, 0.99999, 100_000))
    tail = Tail()
    tail.fit(values)
    assert (tail(values) < 0).float().mean().item() == pytest.approx(USUAL, abs=1e-4)
    assert tail.excess.item() == pytest.approx(0.5, rel=0.02)  # of an exponential law the excess is its mean


def test_a_unit_of_pictures_that_never_differ_is_not_nothing() -> None:
    tail = Tail()
    tail.fit(torch.full((1000,), 3.0))
    assert torch.isfinite(tail(torch.tensor([3.0, 4.0]))).all()


SIZE, SHRINK = (32, 48), 2


def whole(*, pooled: bool = False, context: bool = True) -> Normality:
    return Normality(3, SIZE, SHRINK, (1 / 16, 1 / 8), (5, (4, 6)) if context else None, pooled=pooled)


def shown(seed: int, scale: float = 0.1) -> tuple[Evidence, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 16, 24, generator=chance) - 5
    residual = torch.randn(1, 3, 16, 24, generator=chance) * scale
    image = torch.rand(1, 3, *SIZE, generator=chance) * scale
    return Evidence(logits, residual, torch.randn(1, 5, 4, 6, generator=chance) * scale), image


def fit(normality: Normality, good: list[tuple[Evidence, Tensor]], held: list[tuple[Evidence, Tensor]]) -> None:
    normality.fit(lambda: (it[0] for it in good), lambda: (it[1][0] for it in good), iter(held), len(held))


def test_before_it_is_fitted_all_places_are_alike() -> None:
    evidence, image = shown(0)
    odds = whole()(evidence._replace(logits=torch.zeros_like(evidence.logits)), image)
    assert torch.equal(odds, odds[0, 0, 0].expand_as(odds))
    assert odds.max() < -EVEN / SOFT


@pytest.mark.parametrize("pooled", [False, True])
def test_each_witness_is_heard_and_good_pictures_stay_dark(pooled: bool) -> None:
    good, held = [shown(n) for n in range(24)], [shown(n) for n in range(50, 58)]
    normality = whole(pooled=pooled)
    fit(normality, good, held)
    quiet = torch.sigmoid(normality(*shown(99)))
    assert (quiet < 0.5).float().mean() > USUAL
    (evidence, image), scales = shown(99), (1.0, 1.0, 0.25, SHRINK)
    before = normality(evidence, image)
    for number, scale in enumerate(scales):
        changed = [*(part.clone() for part in evidence if part is not None), image.clone()]
        down, across = (slice(int(first * scale), int(last * scale)) for first, last in ((8, 12), (12, 16)))
        changed[number][..., down, across] += 9
        found = normality(Evidence(*changed[:3]), changed[3]) - before
        assert found[0, 9, 13] > (0.5 if number == 2 else 1)
        assert found[0, 9, 13] > found[0, 2, 2] + (0.5 if number == 2 else 1)


def test_without_a_context_the_others_decide_in_the_same_proportion() -> None:
    good, held = [shown(n) for n in range(24)], [shown(n) for n in range(50, 58)]
    with_it, without = whole(), whole(context=False)
    fit(with_it, good, held)
    fit(without, [(it[0]._replace(context=None), it[1]) for it in good], held)
    evidence, image = shown(99)
    units = with_it.units(evidence, image)
    others = (0.28 * units[0] + 0.09 * units[1] + 0.37 * units[2] + 0.19 * units[3]) / 0.93
    torch.testing.assert_close(SOFT * without(evidence._replace(context=None), image) + EVEN, others)
