"""Laws of training batches: (seed, place) decides every sample, whatever the batch."""

from __future__ import annotations

from dataclasses import fields
from math import floor

import numpy as np
import pytest

from diffusionad.pairs import Batch, PairMaker
from diffusionad.rng import Stream
from diffusionad.structures import BoolMap, Image
from diffusionad.synthesis import DEFECTS, Synthesizer, SyntheticPair, Textures
from diffusionad.tensors import to_image

PICTURES = list(np.random.default_rng(0).integers(0, 256, (5, 32, 40, 3), dtype=np.uint8))
FOREGROUND = np.zeros((32, 40), dtype=np.bool_)
FOREGROUND[6:28, 8:34] = True
WHERE = {
    "image": 0,
    "clean": 0,
    "true_mask": 0,
    "is_normal": 0,
    "is_clean_known": 0,
    "is_outlined": 0,
    "noise": 1,
    "time": 1,
    "indices": 0,
}
"""Axis of the samples."""


def maker(
    seed: int = 3,
    share: float = 0.5,
    foreground: BoolMap | None = None,
    shift: float = 0.0,
    light: float = 0.0,
    stream: Stream = "pair",
    judged: BoolMap | None = None,
) -> PairMaker:
    return PairMaker(
        PICTURES,
        [foreground] * len(PICTURES),
        Synthesizer(Textures(()), dict.fromkeys(DEFECTS, 1.0), (0.2, 0.8)),
        seed=seed,
        anomalous_share=share,
        shift=shift,
        light=light,
        stream=stream,
        judged=None if judged is None else [judged] * len(PICTURES),
    )


def same(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in WHERE)


@pytest.mark.parametrize("foreground", [None, FOREGROUND], ids=["texture", "object"])
def test_a_batch_is_its_smaller_batches_laid_together(foreground: BoolMap | None) -> None:
    assert {field.name for field in fields(Batch)} == {*WHERE, "judged"}
    source = maker(foreground=foreground, shift=0.1, light=0.1)
    whole, first, second = source.batch(7, 11), source.batch(7, 4), source.batch(11, 7)
    assert len(whole.judged) == 11
    assert whole.judged == first.judged + second.judged
    for name, axis in WHERE.items():
        pieces = np.concatenate([getattr(first, name), getattr(second, name)], axis=axis)
        np.testing.assert_array_equal(getattr(whole, name), pieces, err_msg=name)
    assert whole.judged == (*first.judged, *second.judged)


def test_the_seed_decides_everything_drawn() -> None:
    one, again, other = (maker(seed=seed, shift=0.1, light=0.1).batch(4, 6) for seed in (3, 3, 4))
    assert same(one, again)
    for name in ("image", "clean", "true_mask", "noise", "time", "indices"):
        assert not np.array_equal(getattr(one, name), getattr(other, name)), name


def test_training_and_held_out_samples_are_drawn_apart() -> None:
    training, held_out = maker().batch(0, 6), maker(stream="validation").batch(0, 6)
    assert not np.array_equal(training.true_mask, held_out.true_mask)


def test_samples_of_another_round_are_new() -> None:
    source = maker(share=1.0)
    first, later = source.batch(0, 5), source.batch(5, 5)
    for index in range(5):
        here, there = first.indices.tolist().index(index), later.indices.tolist().index(index)
        assert not np.array_equal(first.true_mask[here], later.true_mask[there])
        assert not np.array_equal(first.noise[:, here], later.noise[:, there])


def test_shapes_types_and_ranges() -> None:
    batch = maker(shift=0.1, light=0.3).batch(0, 6)
    assert batch.image.shape == batch.clean.shape == (6, 3, 32, 40)
    assert (batch.true_mask.shape, batch.true_mask.dtype) == ((6, 1, 32, 40), np.bool_)
    assert (batch.noise.shape, batch.time.shape) == ((2, 6, 3, 32, 40), (2, 6))
    assert (batch.is_normal.shape, batch.indices.shape) == ((6,), (6,))
    for image in (batch.image, batch.clean, batch.noise):
        assert image.dtype == np.float32
    assert np.abs(batch.clean).max() <= 1
    assert np.abs(batch.image).max() <= 1 + 1e-6


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1 / 3, 0.7, 1.0])
def test_exactly_the_asked_share_is_synthetic_and_evenly_spread(share: float) -> None:
    is_synthetic = ~maker(share=share).batch(0, 40).is_normal
    so_far = np.cumsum(is_synthetic)
    for count, synthetic in enumerate(so_far, start=1):
        assert floor(count * share - 1e-9) <= synthetic <= floor(count * share + 1e-9)
    if share == 0.5:
        assert np.all(is_synthetic.reshape(-1, 2).sum(axis=1) == 1)


def test_every_picture_once_a_round_in_an_order_of_its_own() -> None:
    indices = maker().batch(0, 40).indices.reshape(-1, 5)
    np.testing.assert_array_equal(np.sort(indices, axis=1), np.tile(np.arange(5), (8, 1)))
    assert len({tuple(turn) for turn in indices.tolist()}) > 4


def test_normal_samples_are_untouched_and_synthetic_ones_are_marked() -> None:
    batch = maker(foreground=FOREGROUND).batch(0, 20)
    for index in range(20):
        image, clean, true_mask = batch.image[index], batch.clean[index], batch.true_mask[index, 0]
        np.testing.assert_array_equal(clean, to_image(PICTURES[batch.indices[index]]))
        if batch.is_normal[index]:
            np.testing.assert_array_equal(image, clean)
            assert not true_mask.any()
        else:
            assert np.abs(image - clean).max(axis=0)[true_mask].mean() > 0.06
            np.testing.assert_array_equal(image[:, ~FOREGROUND], clean[:, ~FOREGROUND])


def test_noise_is_of_unit_variance_and_time_uniform_and_the_scales_have_their_own() -> None:
    batch = maker(share=0.0).batch(0, 60)
    assert abs(float(batch.noise.mean())) < 0.01
    assert float(batch.noise.std()) == pytest.approx(1, abs=0.01)
    assert abs(float((batch.noise[0] * batch.noise[1]).mean())) < 0.02
    assert batch.time.min() >= 0
    assert batch.time.max() < 1
    assert np.all(np.abs(batch.time.mean(axis=1) - 0.5) < 0.15)
    assert len(np.unique(batch.time)) == 120


def test_noise_knows_nothing_of_the_defects() -> None:
    normal, synthetic = maker(share=0.0).batch(0, 4), maker(share=1.0).batch(0, 4)
    np.testing.assert_array_equal(normal.noise, synthetic.noise)
    np.testing.assert_array_equal(normal.time, synthetic.time)


def test_the_foreground_moves_with_its_picture() -> None:
    class Spy:
        def __init__(self) -> None:
            self.moved: list[tuple[int, int]] = []

        def plant(
            self, rng: np.random.Generator, normal: Image, foreground: BoolMap | None, judged: BoolMap | None
        ) -> SyntheticPair:
            assert foreground is not None
            np.testing.assert_array_equal(foreground, normal[0] > 0)
            rows, columns = np.nonzero(foreground)
            self.moved.append((int(rows.min()) - 10, int(columns.min()) - 12))
            return SyntheticPair(normal, foreground, "spied")

    picture = np.zeros((32, 40, 3), dtype=np.uint8)
    picture[10:20, 12:30] = 255
    spy = Spy()
    source = PairMaker([picture], [picture[..., 0] > 0], spy, seed=0, anomalous_share=1.0, shift=0.1)  # type: ignore[arg-type]
    source.batch(0, 60)
    down, right = zip(*spy.moved, strict=True)
    assert (min(down), max(down)) == (-3, 3)  # a tenth of 32 and of 40, rounded
    assert (min(right), max(right)) == (-4, 4)


def test_light_changes_a_picture_within_its_bounds() -> None:
    batch = maker(share=0.0, light=0.1).batch(0, 20)
    originals = np.stack([to_image(PICTURES[index]) for index in batch.indices])
    change = np.abs(batch.clean - originals)
    assert change.max() <= 0.2 + 1e-6  # a tenth of contrast at the ends, a tenth of brightness
    assert change.max() > 0.1
    assert np.all(change.reshape(20, -1).max(axis=1) > 0)


@pytest.mark.parametrize("foreground", [None, FOREGROUND], ids=["texture", "object"])
def test_defects_lie_where_pictures_are_judged_however_these_move(foreground: BoolMap | None) -> None:
    judged = np.zeros((32, 40), dtype=np.bool_)
    judged[:, 20:] = True
    batch = maker(share=1.0, foreground=foreground, shift=0.1, judged=judged).batch(0, 20)
    assert batch.true_mask.any(axis=(1, 2, 3)).all()
    assert not batch.true_mask[:, :, :, :20].any()
    np.testing.assert_array_equal(batch.image[:, :, :, :20], batch.clean[:, :, :, :20])
    assert maker(share=1.0, foreground=foreground, shift=0.1).batch(0, 20).true_mask[:, :, :, :20].any()


def test_defects_lie_where_pictures_are_judged_also_beside_the_object() -> None:
    judged = np.zeros((32, 40), dtype=np.bool_)
    judged[:, 36:] = True
    batch = maker(share=1.0, foreground=FOREGROUND, judged=judged).batch(0, 10)
    assert batch.true_mask.any(axis=(1, 2, 3)).all()
    assert not (batch.true_mask & ~judged).any()
