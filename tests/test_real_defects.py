"""Learning from few real defects: what is pasted, what is shown, what counts in which loss, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusionad import train
from diffusionad.config import resolve
from diffusionad.data import find_defects, find_samples
from diffusionad.errors import DataError, UsageError
from diffusionad.evaluation import evaluate
from diffusionad.inspector import Inspector
from diffusionad.losses import image_loss, noise_loss
from diffusionad.pairs import PairMaker
from diffusionad.rng import generator
from diffusionad.structures import BoolMap
from diffusionad.synthesis import DEFECTS, RealDefect, Synthesizer, Textures, paste
from diffusionad.tensors import to_image
from diffusionad.training.real import find_real_defects, read_real_defects

SMALL = (
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.attention_levels=[1]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "segmenter.patch=2",
    "training.batch=4",
    "training.validations=2",
    "training.warmup_images=8",
)
SIZE = (40, 48)
RNG = np.random.default_rng(5)
PICTURES = [RNG.integers(60, 200, (*SIZE, 3), dtype=np.uint8) for _ in range(5)]


def real(row: int, outlined: bool = True) -> RealDefect:
    mask = np.zeros(SIZE, np.bool_)
    mask[row : row + 6, 10:19] = True
    image = to_image(PICTURES[0])
    image[:, mask] = -1
    return RealDefect(image, mask if outlined else None)


def maker(
    *defects: RealDefect, shown: float = 0.5, pasted: float = 0.5, foreground: BoolMap | None = None
) -> PairMaker:
    return PairMaker(
        PICTURES,
        [foreground] * len(PICTURES),
        Synthesizer(Textures(()), dict.fromkeys(DEFECTS, 1.0), (0.2, 0.8)),
        seed=3,
        anomalous_share=0.5,
        real=defects,
        shown_share=shown,
        pasted_share=pasted,
    )


@pytest.mark.parametrize("place", range(40))
def test_pasting_changes_nothing_outside_its_mask_and_all_of_it_lies_in_the_part(place: int) -> None:
    normal, part = to_image(PICTURES[1]), np.zeros(SIZE, np.bool_)
    part[8:30, 12:40] = True
    defects = [(defect.image, defect.true_mask) for defect in (real(2), real(30)) if defect.true_mask is not None]
    image, true_mask = paste(generator(0, "pair", place), normal, part, defects)
    again, _ = paste(generator(0, "pair", place), normal, part, defects)
    np.testing.assert_array_equal(image, again)
    assert true_mask.any()
    assert not (true_mask & ~part).any()
    np.testing.assert_array_equal(image[:, ~true_mask], normal[:, ~true_mask])
    assert image.dtype == np.float32
    assert np.abs(image).max() <= 1
    assert np.abs(image - normal)[:, true_mask].mean() > 0.1


def test_without_real_defects_every_draw_is_as_before() -> None:
    plain = PairMaker(
        PICTURES,
        [None] * len(PICTURES),
        Synthesizer(Textures(()), dict.fromkeys(DEFECTS, 1.0), (0.2, 0.8)),
        seed=3,
        anomalous_share=0.5,
    ).batch(0, 12)
    given = maker().batch(0, 12)
    for name in ("image", "clean", "true_mask", "noise", "time", "indices"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(given, name))
    assert given.is_clean_known.all()
    assert given.is_outlined.all()


def test_shares_of_a_batch_are_as_stated_and_depend_on_the_place_alone() -> None:
    source = maker(real(2), real(20), real(30, outlined=False), shown=0.25, pasted=0.5)
    whole = source.batch(0, 64)
    shown = whole.indices < 0
    assert shown.sum() == 64 * 0.5 * 0.25
    assert whole.is_normal.sum() == 32
    assert (~whole.is_outlined).sum() == (whole.indices == -3).sum() > 0
    late = source.batch(40, 24)
    for name in ("image", "true_mask", "is_clean_known", "is_outlined", "indices"):
        np.testing.assert_array_equal(getattr(whole, name)[40:], getattr(late, name))
    counts = [(whole.indices == -1 - index).sum() for index in range(3)]
    assert max(counts) - min(counts) <= 1, "each real defect is shown as often as the others"
    # of a shown picture the clean one is unknown where its defect is, or everywhere when nobody outlined it
    for index in np.flatnonzero(shown):
        expected = ~whole.true_mask[index] if whole.is_outlined[index] else np.zeros((1, *SIZE), np.bool_)
        np.testing.assert_array_equal(whole.is_clean_known[index], expected)


def test_pictures_without_masks_are_shown_but_never_pasted() -> None:
    bare = maker(real(2, outlined=False), shown=0.0, pasted=1.0).batch(0, 16)
    plain = maker(shown=0.0, pasted=1.0).batch(0, 16)
    np.testing.assert_array_equal(bare.image, plain.image)


def test_the_noise_loss_does_not_look_at_pixels_whose_truth_is_unknown() -> None:
    chance = torch.Generator().manual_seed(0)
    clean_hat, clean = torch.rand(2, 2, 3, 8, 8, generator=chance).unbind()
    known = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    known[1, :, 2:5, 2:5] = False
    snr, share = torch.tensor([0.5, 0.7]), torch.ones(2)
    before = noise_loss(clean_hat, clean, snr, share, None, known)
    changed = torch.where(known, clean, 9.0)
    assert torch.equal(noise_loss(clean_hat, changed, snr, share, None, known), before)
    error = ((clean_hat - clean) ** 2).numpy()
    looped = np.mean([0.5 * error[0].mean(), 0.7 * error[1][:, known[1, 0].numpy()].mean()])
    assert before.item() == pytest.approx(looped, rel=1e-5)
    everything = noise_loss(clean_hat, clean, snr, share, None, torch.ones_like(known))
    assert everything.item() == pytest.approx(noise_loss(clean_hat, clean, snr, share).item(), rel=1e-6)


def test_the_image_loss_lifts_the_highest_pixels_only() -> None:
    logits = torch.zeros(1, 1, 4, 4)
    logits[0, 0, 1, 1:3] = 3.0
    logits.requires_grad_()
    loss = image_loss(logits, top_k=2)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-3.0)), rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad != 0).sum() == 2
    assert (logits.grad[0, 0, 1, 1:3] < 0).all()


def lay_out(data: Path, root: Path, count: int, masks: int) -> Path:
    """`count` real defects of the sample data set, the first `masks` of them with a mask."""
    (root / "bar").mkdir(parents=True)
    (root / "masks" / "bar").mkdir(parents=True)
    for index in range(count):
        shutil.copy(data / "test" / "bar" / f"{index:03d}.png", root / "bar")
        if index < masks:
            shutil.copy(data / "ground_truth" / "bar" / f"{index:03d}_mask.png", root / "masks" / "bar")
    return root


def test_a_folder_of_defects_is_read_flat_or_by_kind(data: Path, tmp_path: Path) -> None:
    kinds = find_defects(lay_out(data, tmp_path / "kinds", 3, 2))
    assert [(s.path.name, s.defect, s.mask_path is not None) for s in kinds] == [
        ("000.png", "bar", True),
        ("001.png", "bar", True),
        ("002.png", "bar", False),
    ]
    flat = tmp_path / "flat"
    (flat / "mask").mkdir(parents=True)
    shutil.copy(data / "test" / "bar" / "000.png", flat / "a.png")
    shutil.copy(data / "ground_truth" / "bar" / "000_mask.png", flat / "mask" / "a.png")
    (only,) = find_defects(flat)
    assert (only.defect, only.mask_path) == ("defect", flat / "mask" / "a.png")


def test_a_run_with_real_defects_repeats_itself_and_is_honest_about_them(data: Path, tmp_path: Path) -> None:
    folder = lay_out(data, tmp_path / "real", 3, 2)
    shutil.copy(folder / "bar" / "000.png", folder / "bar" / "again.png")
    runs = [
        train(data, tmp_path / name, preset="tiny", images=32, settings=SMALL, defects=given)
        for name, given in (("one", folder), ("two", folder))
    ]
    one, two = ((run.folder / "bundle" / "model.safetensors").read_bytes() for run in runs)
    assert one == two
    origin = runs[0].bundle.origin
    assert (origin.real_defects, len(origin.hashes) - origin.trained - origin.validated) == (3, 3)
    assert any("3 of 3 real defects are also test pictures" in warning for warning in runs[0].warnings)
    assert any("1 of 3 real defects have no mask" in warning for warning in runs[0].warnings)
    assert runs[0].bundle.calibration is not None
    assert runs[0].bundle.calibration.n == 8, "real defects take no part in the threshold"
    result = evaluate(Inspector.load(runs[0].bundle.folder), find_samples(data), tmp_path / "measured", data="part")
    assert (result.left_out, result.escapes[1], result.overkill[1]) == (3, 3, 6)


def test_what_cannot_be_learned_from_is_told(data: Path, tmp_path: Path) -> None:
    config = resolve("tiny", settings=SMALL)
    with pytest.raises(DataError, match="does not exist"):
        find_defects(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="No picture"):
        find_defects(tmp_path / "empty")
    with pytest.raises(DataError, match="'good'"):
        find_defects(data / "test")
    mixed = lay_out(data, tmp_path / "mixed", 1, 1)
    shutil.copy(data / "train" / "good" / "000.png", mixed / "bar" / "x.png")
    with pytest.raises(DataError, match="is a good picture") as caught:
        find_real_defects(mixed, data, config, "auto", None)
    assert caught.value.code == "data.contradiction"
    blank = lay_out(data, tmp_path / "blank", 1, 1)
    Image.new("L", (48, 48)).save(blank / "masks" / "bar" / "000_mask.png")
    with pytest.raises(DataError, match="marks nothing"):
        read_real_defects(find_defects(blank), config)
    broken = lay_out(data, tmp_path / "broken", 2, 0)
    (broken / "bar" / "000.png").write_bytes(b"")
    assert "no content" in read_real_defects(find_defects(broken), config).warnings[0]
    with pytest.raises(UsageError, match="together at most 1"):
        resolve("tiny", settings=("synthesis.shown_share=0.7", "synthesis.pasted_share=0.4"))
