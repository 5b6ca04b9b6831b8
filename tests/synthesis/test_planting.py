"""Laws of planting: where nothing is covered nothing changes, and what is marked can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from diffusionad.structures import Image
from diffusionad.synthesis import DEFECTS, Synthesizer, Textures
from diffusionad.synthesis.defects import Defect
from diffusionad.synthesis.synthesizer import blend

SIZE = (48, 48)
CHANCE = np.random.default_rng(0)
NORMAL: Image = (
    0.7
    * np.sin(np.arange(48, dtype=np.float32) / 3)[None, None, :]
    * np.linspace(0.3, 1, 48, dtype=np.float32)[:, None]
    + CHANCE.uniform(-0.1, 0.1, (3, *SIZE)).astype(np.float32)
).astype(np.float32)
DISC = np.hypot(*(np.mgrid[0:48, 0:48] - 23.5)) < 16
"""Foreground of an object, [H, W] bool."""


def synthesizer(*kinds: str) -> Synthesizer:
    return Synthesizer(Textures(()), dict.fromkeys(kinds, 1.0), (0.2, 0.8))


def test_blend_is_equation_9_at_hard_masks() -> None:
    content = CHANCE.uniform(-1, 1, NORMAL.shape).astype(np.float32)
    mask = CHANCE.random(SIZE) < 0.3
    for share in (0.0, 0.2, 0.8, 1.0):
        expected = np.where(mask, share * NORMAL + (1 - share) * content, NORMAL)
        np.testing.assert_allclose(blend(NORMAL, content, mask.astype(np.float32), share), expected, atol=1e-6)


def test_what_is_not_covered_or_wholly_kept_is_unchanged() -> None:
    content = CHANCE.uniform(-1, 1, NORMAL.shape).astype(np.float32)
    cover = CHANCE.random(SIZE).astype(np.float32) * DISC
    np.testing.assert_array_equal(blend(NORMAL, content, cover, 1.0), NORMAL)
    np.testing.assert_array_equal(blend(NORMAL, content, np.zeros(SIZE, dtype=np.float32), 0.2), NORMAL)
    np.testing.assert_array_equal(blend(NORMAL, content, cover, 0.2)[:, ~DISC], NORMAL[:, ~DISC])
    changed = np.abs(blend(NORMAL, content, cover, 0.2) - NORMAL)
    np.testing.assert_allclose(changed, 0.8 * cover * np.abs(content - NORMAL), atol=1e-6)


@pytest.mark.parametrize("foreground", [DISC, None], ids=["object", "texture"])
@pytest.mark.parametrize("kind", DEFECTS)
def test_planted_defects_are_marked_visible_and_where_they_belong(
    monkeypatch: pytest.MonkeyPatch, kind: str, foreground: np.ndarray | None
) -> None:
    drawn: list[Defect] = []
    make = DEFECTS[kind]

    def spy(*given: object) -> Defect:
        drawn.append(make(*given))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setitem(DEFECTS, kind, spy)
    before = NORMAL.copy()
    for seed in range(12):
        drawn.clear()
        pair = synthesizer(kind).plant(np.random.default_rng(seed), NORMAL, foreground)
        assert pair.kind == kind
        assert (pair.image.dtype, pair.true_mask.dtype) == (np.float32, np.bool_)
        assert pair.true_mask.shape == SIZE
        assert pair.true_mask.any()
        assert np.abs(pair.image).max() <= 1 + 1e-6
        changed = np.abs(pair.image - NORMAL).max(axis=0)
        assert changed[pair.true_mask].mean() > 0.06
        # what changed is covered by one of the defects that were drawn, and the mask is where it covers
        covers = [defect.cover * (1 if foreground is None else foreground) for defect in drawn]
        fits = [not changed[cover == 0].any() and np.all(cover[pair.true_mask] > 0.3) for cover in covers]
        assert any(fits)
        if foreground is not None:
            np.testing.assert_array_equal(pair.image[:, ~foreground], NORMAL[:, ~foreground])
            assert not (pair.true_mask & ~foreground).any()
            assert any(np.array_equal(pair.true_mask, cover > 0.3) for cover in covers)
    np.testing.assert_array_equal(NORMAL, before)


@pytest.mark.parametrize("kind", ["texture", "rearranged", "patch", "smear", "warp"])
def test_hard_kinds_change_nothing_outside_their_mask(kind: str) -> None:
    for seed in range(8):
        pair = synthesizer(kind).plant(np.random.default_rng(seed), NORMAL, DISC)
        np.testing.assert_array_equal(pair.image[:, ~pair.true_mask], NORMAL[:, ~pair.true_mask])


def test_a_tiny_foreground_still_holds_its_defect() -> None:
    dot = np.zeros(SIZE, dtype=np.bool_)
    dot[3, 3] = True  # a corner that scratches and blobs rarely meet
    for seed in range(15):
        pair = synthesizer("scratch", "texture").plant(np.random.default_rng(seed), NORMAL, dot)
        np.testing.assert_array_equal(pair.true_mask, dot)
        np.testing.assert_array_equal(pair.image[:, ~dot], NORMAL[:, ~dot])
        assert np.abs(pair.image - NORMAL).max() > 0


def test_a_defect_without_a_place_is_visible_all_the_same() -> None:
    """An empty foreground, on a grey picture that is its own negative."""
    grey = np.zeros((3, *SIZE), dtype=np.float32)
    pair = synthesizer("texture").plant(np.random.default_rng(0), grey, np.zeros(SIZE, dtype=np.bool_))
    assert pair.true_mask.any()
    assert np.abs(pair.image - grey).max(axis=0)[pair.true_mask].mean() > 0.06


def test_kinds_are_drawn_by_their_weights() -> None:
    weights = {"patch": 3.0, "scratch": 1.0, "tone": 0.0}
    maker = Synthesizer(Textures(()), weights, (0.2, 0.3))
    kinds = [maker.plant(np.random.default_rng(seed), NORMAL, None).kind for seed in range(150)]
    assert set(kinds) == {"patch", "scratch"}
    assert 0.62 < kinds.count("patch") / 150 < 0.88


def test_the_share_of_the_normal_image_stays_in_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    white = Defect(np.ones_like(NORMAL), np.ones(SIZE, dtype=np.float32))
    monkeypatch.setitem(DEFECTS, "texture", lambda *_: white)
    black = np.full_like(NORMAL, -1.0)
    maker = Synthesizer(Textures(()), {"texture": 1.0}, (0.2, 0.8))
    whole = np.ones(SIZE, dtype=np.bool_)
    levels = [float(maker.plant(np.random.default_rng(seed), black, whole).image[0, 0, 0]) for seed in range(200)]
    kept = (1 - np.array(levels)) / 2
    assert 0.2 - 1e-6 <= kept.min() < 0.25
    assert 0.75 < kept.max() <= 0.8 + 1e-6
    opaque = Defect(np.ones_like(NORMAL), np.ones(SIZE, dtype=np.float32), opaque=True)
    monkeypatch.setitem(DEFECTS, "texture", lambda *_: opaque)
    np.testing.assert_allclose(maker.plant(np.random.default_rng(0), black, whole).image, 1, atol=1e-6)


def test_the_same_generator_plants_the_same() -> None:
    maker = synthesizer(*DEFECTS)
    for seed in range(4):
        one, same = (maker.plant(np.random.default_rng(seed), NORMAL, None) for _ in range(2))
        assert one.kind == same.kind
        np.testing.assert_array_equal(one.image, same.image)
        np.testing.assert_array_equal(one.true_mask, same.true_mask)
