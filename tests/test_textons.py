"""Laws of textons: what good pictures show anywhere is usual anywhere, wherever it lies and however it is turned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusionad.textons import COUNT, FLOOR, LEVEL, STEP, Textons, middle

PLACES = (16, 24)
STIR = 0.05
KINDS = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.0, -3.0, 0.0]])


def features(seed: int, shown: Tensor = KINDS, scale: float = 0.1) -> Tensor:
    """[4, 16, 24]: squares of 2 x 2 places, each of a kind that is drawn."""
    chance = torch.Generator().manual_seed(seed)
    kind = torch.randint(len(shown), (PLACES[0] // 2, PLACES[1] // 2), generator=chance)
    laid = shown[kind].permute(2, 0, 1).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return laid + scale * torch.randn(4, *PLACES, generator=chance)


def fitted(count: int = 12, *, levelled: bool = False, of: slice = slice(None)) -> Textons:
    textons = Textons(4, PLACES, STIR, levelled=levelled)
    cells = [textons.reduced(features(seed, KINDS[of])[None])[0].flatten(1).T for seed in range(count)]
    textons.fit(torch.cat(cells))
    return textons


def test_it_is_the_distance_from_the_nearest_texton_worked_out_in_numpy() -> None:
    textons, seen = fitted(), features(99, scale=0.5)
    whitening, centres = textons.whitening.double().numpy(), textons.centres.double().numpy()
    got = textons(seen[None])[0].numpy()
    assert got.shape == (PLACES[0] // STEP, PLACES[1] // STEP)
    for row in range(got.shape[0]):
        for column in range(got.shape[1]):
            part = seen[:, row * STEP : (row + 1) * STEP, column * STEP : (column + 1) * STEP].double().numpy()
            off = whitening @ part.mean(axis=(1, 2)) - centres
            wanted = 0.5 * np.log((off**2).sum(axis=1).min() / 4 + FLOOR)
            assert got[row, column] == pytest.approx(wanted, abs=1e-2)


def test_what_was_shown_elsewhere_is_usual_and_a_mixture_of_two_kinds_is_not() -> None:
    textons = fitted()
    usual = textons(features(99)[None])[0]
    strange = features(99)
    strange[:, 4:8, 4:8] = ((KINDS[0] + KINDS[1]) / 2)[:, None, None]
    found = textons(strange[None])[0]
    assert found[2:4, 2:4].min() > usual.max() + 1
    torch.testing.assert_close(found[6:], usual[6:], rtol=0, atol=1e-4)


def test_a_turned_picture_is_as_usual_as_it_was() -> None:
    textons, seen = fitted(), features(99)
    straight, turned = textons(seen[None])[0], textons(seen.flip(1, 2)[None])[0]
    torch.testing.assert_close(turned.flip(0, 1), straight, rtol=0, atol=1e-2)


def test_a_kind_that_no_good_picture_shows_is_odd() -> None:
    textons, kind = fitted(of=slice(2)), torch.full(PLACES, False)
    seen = features(99, KINDS[:2])
    kind[2:6, 2:6] = True
    odd = torch.where(kind, KINDS[2][:, None, None], seen)
    assert textons(odd[None])[0, 1:3, 1:3].min() > textons(seen[None]).max() + 1


def test_levelled_the_light_of_a_picture_is_its_own() -> None:
    seen = features(99)[None]
    levelled, plain = fitted(levelled=True), fitted()
    torch.testing.assert_close(levelled(seen + 20), levelled(seen), rtol=0, atol=1e-2)
    assert plain(seen + 20).mean() > plain(seen).mean() + 1


def test_the_middle_is_the_median_of_the_parts() -> None:
    seen = torch.randn(2, 3, 4 * LEVEL, 2 * LEVEL, generator=torch.Generator().manual_seed(1))
    parts = seen.numpy().reshape(2, 3, LEVEL, 4, LEVEL, 2).mean(axis=(3, 5)).reshape(2, 3, -1)
    wanted = np.sort(parts, axis=2)[:, :, LEVEL * LEVEL // 2 - 1]
    np.testing.assert_allclose(middle(seen).numpy()[:, :, 0, 0], wanted, atol=1e-6)


def test_the_same_cells_give_the_same_textons_and_pictures_of_a_batch_do_not_mix() -> None:
    one, other = fitted(), fitted()
    assert torch.equal(one.centres, other.centres)
    assert torch.equal(one.whitening, other.whitening)
    seen = torch.stack([features(seed) for seed in (97, 98, 99)])
    for index in range(3):
        torch.testing.assert_close(one(seen[index : index + 1])[0], one(seen)[index], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["few", "constant", "one"])
def test_poor_cells_still_give_finite_distances(case: str) -> None:
    chance = torch.Generator().manual_seed(0)
    cells = {
        "few": torch.randn(COUNT // 8, 4, generator=chance),
        "constant": torch.ones(4 * COUNT, 4),
        "one": torch.ones(1, 4),
    }[case]
    textons = Textons(4, PLACES, STIR, levelled=False)
    textons.fit(cells)
    quiet, loud = textons(cells[0][:, None, None].expand(1, 4, *PLACES)), textons(torch.full((1, 4, *PLACES), 90.0))
    assert torch.isfinite(quiet).all()
    assert torch.isfinite(loud).all()
    assert loud.min() > quiet.max() + 1


def test_a_texton_that_no_place_is_nearest_to_invents_nothing() -> None:
    textons = Textons(4, PLACES, STIR, levelled=False)
    textons.fit(torch.full((2 * COUNT, 4), 5.0))  # all but one texton are nearest to none
    usual, never = (textons(torch.full((1, 4, *PLACES), value)) for value in (5.0, 0.0))
    assert never.min() > usual.max() + 1


def test_places_that_cannot_be_halved_stay_as_they_are() -> None:
    textons = Textons(2, (7, 10), STIR, levelled=True)
    assert textons.reduced(torch.zeros(1, 2, 7, 10)).shape == (1, 2, 7, 10)
    assert textons(torch.zeros(3, 2, 7, 10)).shape == (3, 7, 10)
