"""Every variant of the method is a setting: it trains, infers, and becomes the same ONNX file's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.brightness import logarithmic
from diffusionad.config import Config, resolve
from diffusionad.detector import Detector
from diffusionad.diffusion import steps_down
from diffusionad.errors import UsageError
from diffusionad.export import check_passes, to_onnx
from diffusionad.inspector import OnnxBackend
from diffusionad.scoring import image_score, pixels_for
from diffusionad.structures import Picture
from diffusionad.synthesis import RealDefect
from diffusionad.training.habit import fit_normality
from diffusionad.training.loop import rate_at, tensors_of
from diffusionad.training.runs import counted, resolve_run
from diffusionad.training.step import TrainingStep

SIZE = 32

VARIANTS: dict[str, dict[str, Any]] = {
    "one-step": {"diffusion.reconstruction": "one-step"},
    "averaged": {"diffusion.reconstruction": "averaged", "diffusion.t_averaged": (100, 200, 331)},
    "ddpm": {"diffusion.reconstruction": "iterative", "diffusion.stride": 200, "diffusion.noise": "simplex"},
    "ddim": {"diffusion.reconstruction": "iterative", "diffusion.stride": 111, "diffusion.sampler": "ddim"},
    "perlin": {"diffusion.noise": "perlin", "diffusion.schedule": "cosine"},
    "segmenter": {"networks": "segmenter"},
    "autoencoder": {"networks": "autoencoder+segmenter"},
    "squared": {"networks": "denoiser", "diffusion.reconstruction": "one-step"},
    "ssim": {"networks": "denoiser", "difference_map": "ssim", "diffusion.reconstruction": "averaged"},
}


def tiny(**changed: Any) -> Config:
    overrides = {
        "data.size": (SIZE, SIZE),
        "data.shrink": 1,
        "data.brightness": "linear",
        "denoiser.width": 8,
        "denoiser.multipliers": (1, 2),
        "denoiser.heads": 2,
        "denoiser.groups": 4,
        "segmenter.widths": (8, 8),
        "top_k": 640,  # ten pixels of the 32 x 32
    }
    return resolve("tiny", overrides={**overrides, **changed})


def shaken(detector: Detector) -> Detector:
    """Random weights where initialisation left zeros, so that every path matters."""
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in detector.parameters():
            if not weight.any():
                weight.copy_(0.1 * torch.randn(weight.shape, generator=chance))
    return detector.eval()


def pictures(count: int, seed: int = 0) -> list[Picture]:
    chance = np.random.default_rng(seed)
    return [chance.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(count)]


def images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def config(name: str, **more: Any) -> Config:
    return tiny(**{**VARIANTS[name], **more})


def batch(settings: Config, count: int = 4) -> dict[str, Tensor]:
    pairs = build_pairs(settings, pictures(6), [None] * 6, [], "pair")
    return tensors_of(pairs.batch(0, count), slice(0, count), torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "normality"),
    [
        ("averaged", True),
        ("averaged", False),
        ("ddpm", True),
        ("segmenter", True),
        ("autoencoder", True),
        ("ssim", False),
    ],
)
def test_the_exported_file_answers_as_torch_does(name: str, normality: bool, tmp_path: Path) -> None:
    settings = config(name, **({} if normality else {"normality.widths": ()}))
    detector = shaken(build_detector(settings))
    if detector.normality is not None:
        fit_normality(detector, pictures(12), pictures(4, seed=1), torch.device("cpu"))
    image = images(1, seed=3)
    with torch.inference_mode():
        _, expected, reconstruction = detector(image)
    to_onnx(detector, tmp_path / "model.onnx")
    anomaly_map, restored = OnnxBackend(tmp_path / "model.onnx")(image[0].numpy())
    np.testing.assert_allclose(anomaly_map, expected[0].numpy(), atol=2e-4)
    np.testing.assert_allclose(restored, reconstruction[0].numpy(), atol=2e-4)
    assert 0 <= anomaly_map.min() < anomaly_map.max() <= 1


@pytest.mark.parametrize("name", VARIANTS)
def test_every_network_there_is_learns_from_a_step(name: str) -> None:
    settings = config(name)
    detector = shaken(build_detector(settings)).train()
    noise, mapped = TrainingStep(detector, settings.diffusion, settings.loss)(**batch(settings))
    assert (noise.item() > 0) == (detector.denoiser is not None)
    assert (mapped.item() > 0) == (detector.segmenter is not None)
    (noise + mapped).backward()
    assert [key for key, weight in detector.named_parameters() if weight.grad is None] == []


@torch.inference_mode()
@pytest.mark.parametrize("name", VARIANTS)
def test_alone_or_in_a_batch_is_the_same(name: str) -> None:
    detector = shaken(build_detector(config(name, **{"normality.widths": ()})))
    many = images(3)
    together = detector(many)
    for index in range(3):
        for one, three in zip(detector(many[index : index + 1]), together, strict=True):
            torch.testing.assert_close(one[0], three[index], rtol=0, atol=1e-4)


@torch.inference_mode()
def test_the_averaged_map_is_algorithm_2() -> None:
    """Line by line, one step after the other, with the sigmoid as the end of the segmentation network."""
    settings = config("averaged", **{"diffusion.prediction": "eps", "normality.widths": ()})
    detector = shaken(build_detector(settings))
    assert detector.denoiser is not None
    assert detector.segmenter is not None
    image, betas = images(1), torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    total = torch.zeros(1, 1, SIZE, SIZE)
    for number, t in enumerate((100, 200, 331)):
        left = torch.cumprod(1 - betas, 0)[t].float()
        corrupted = left.sqrt() * image + (1 - left).sqrt() * detector.noise[number]
        eps_hat = detector.denoiser(corrupted, torch.tensor([t]))
        clean = ((corrupted - (1 - left).sqrt() * eps_hat) / left.sqrt()).clamp(-1, 1)
        total += torch.sigmoid(detector.segmenter(torch.cat([image, clean, (image - clean).abs()], dim=1))[0])
    expected = total[:, 0] / 3
    score, anomaly_map, _ = detector(image)
    torch.testing.assert_close(anomaly_map, expected, rtol=0, atol=1e-5)
    assert score.item() == pytest.approx(expected.flatten().topk(10).values.mean().item(), abs=1e-5)


@torch.inference_mode()
def test_without_a_denoiser_the_segmenter_sees_the_image_alone_and_noise_plays_no_part() -> None:
    detector = shaken(build_detector(config("segmenter", **{"normality.widths": ()})))
    image = images(1)
    _, anomaly_map, reconstruction = detector(image)
    assert torch.equal(reconstruction, image)
    assert torch.equal(detector.disturbed(image), image)
    assert detector.segmenter is not None
    torch.testing.assert_close(anomaly_map, torch.sigmoid(detector.segmenter(image)[0][:, 0]))
    result = detector.reconstruct_fixed(image)
    assert torch.equal(detector.residual(image, result), image)  # what normality judges then is the picture itself


@torch.inference_mode()
def test_without_a_segmenter_the_difference_is_the_map() -> None:
    detector = shaken(build_detector(config("squared", **{"normality.widths": ()})))
    image = images(2)
    _, anomaly_map, reconstruction = detector(image)
    torch.testing.assert_close(anomaly_map, ((image - reconstruction) / 2).square().mean(dim=1), rtol=0, atol=1e-6)


def noise_loss_of(settings: Config, given: dict[str, Tensor]) -> float:
    detector = shaken(build_detector(settings)).train()
    return float(TrainingStep(detector, settings.diffusion, settings.loss)(**given)[0].detach())


def test_v1_counts_every_sample_against_the_noise_that_was_drawn_and_the_journal_the_normal_ones() -> None:
    settings = tiny(
        **{"diffusion.prediction": "eps", "diffusion.reconstruction": "one-step", "diffusion.fine_range": (331, 332)},
        **{"loss.noise_on": "all", "loss.repair_weight": 0.0},
    )
    given = batch(settings)
    detector = shaken(build_detector(settings)).train()
    assert detector.denoiser is not None
    steps = torch.full((4,), 331)
    noisy = detector.schedule.disturb(given["image"], steps, given["noise"][0])
    each = (detector.denoiser(noisy, steps) - given["noise"][0]).square().mean(dim=(1, 2, 3))
    assert noise_loss_of(settings, given) == pytest.approx(each.mean().item(), rel=1e-4)
    journal = tiny(
        **{"diffusion.prediction": "eps", "diffusion.reconstruction": "one-step", "diffusion.fine_range": (331, 332)},
        **{"loss.repair_weight": 0.0},
    )
    assert given["is_normal"].tolist().count(True) == 2
    assert noise_loss_of(journal, given) == pytest.approx(each[given["is_normal"]].mean().item(), rel=1e-4)
    half = journal.model_copy(update={"loss": journal.loss.model_copy(update={"noise_weight": 0.5})})
    assert noise_loss_of(half, given) == pytest.approx(0.5 * noise_loss_of(journal, given), rel=1e-6)


def test_batches_on_the_logarithmic_scale_are_planted_on_it_and_their_networks_take_them_as_they_are() -> None:
    plain = tiny(**{"synthesis.kinds": {"tone": 1.0}, "data.light": 0.0, "data.shift": 0.0})
    scaled = plain.model_copy(update={"data": plain.data.model_copy(update={"brightness": "logarithmic"})})
    shown = pictures(4)
    usual, here = (build_pairs(settings, shown, [None] * 4, (), "pair").batch(0, 4) for settings in (plain, scaled))
    assert np.array_equal(here.true_mask, usual.true_mask)
    torch.testing.assert_close(torch.from_numpy(here.clean), logarithmic(torch.from_numpy(usual.clean)))
    inside = np.broadcast_to(here.true_mask, here.image.shape)
    assert inside.any()
    assert np.abs(here.image - logarithmic(torch.from_numpy(usual.image)).numpy())[inside].max() > 0.01
    assert not build_detector(scaled.bare).logarithmic
    image = torch.from_numpy(usual.clean)
    torch.testing.assert_close(
        build_detector(scaled).eval().seen(image), build_detector(scaled.bare).eval().seen(logarithmic(image))
    )


def test_the_rules_of_the_image_score() -> None:
    values = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    ordered = np.sort(values, axis=None)
    rules = {"maximum": ordered[-1], "percentile": ordered[-10], "top-k": ordered[-10:].astype(np.float64).mean()}
    for rule, expected in rules.items():
        top_k, least = pixels_for((32, 32), rule, 640, 100 * (1 - 10 / 1024))
        assert image_score(values, top_k, least) == pytest.approx(float(expected), abs=1e-9)
        detector = shaken(build_detector(tiny(score=rule, percentile=100 * (1 - 10 / 1024))))
        assert (detector.top_k, detector.least) == (top_k, least)
        score, anomaly_map, _ = detector(images(1))
        assert score.item() == pytest.approx(image_score(anomaly_map[0].detach().numpy(), top_k, least), abs=1e-6)


def test_a_reconstruction_of_too_many_passes_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match=r"332 passes.*64 at most.*diffusion.stride=6") as caught:
        resolve_run("tiny", None, None, None, None, ["diffusion.reconstruction=iterative"], None)
    assert caught.value.exit_code == 2
    check_passes(config("ddpm", **{"diffusion.stride": 6}))
    assert len(steps_down(331, 6)) <= 64
    without = tiny(**{"diffusion.reconstruction": "iterative", "networks": "segmenter"})
    check_passes(without)  # nothing is iterated without a denoiser


def test_epochs_become_images_seen() -> None:
    settings = resolve("paper-v1")
    assert counted(settings, 120).training.images == 60_000
    assert counted(resolve("small"), 120) == resolve("small")
    for given in ((60.0, None), (None, 64)):
        training = resolve_run("journal", *given, None, None, [], None).training
        assert (training.max_seconds, training.images, training.epochs) == (*given, None)


def test_constant_rates_stay_and_no_averaging_copies() -> None:
    assert [rate_at(share, 10, 0, constant=True) for share in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    assert rate_at(0.5, 4, 10, constant=True) == 0.5


@pytest.mark.parametrize(
    "settings",
    [
        ["loss.noise_on=all"],
        ["loss.smooth_weight=0", "loss.focal_weight=0"],
        ["diffusion.t_averaged=[]"],
        ["diffusion.t_averaged=[100, 1000]"],
        ["synthesis.operations=['invert']"],
        ["synthesis.operations=['invrt']"],
        ["networks=autoencoder"],
        ["percentile=100"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_by_name(settings: list[str]) -> None:
    with pytest.raises(UsageError, match=settings[0].split("=")[0].split(".")[0]):
        resolve(settings=settings)


def test_the_authors_sources_and_operations_are_the_presets() -> None:
    maker = build_pairs(resolve("paper-v1", settings=["data.size=[32, 32]"]), pictures(2), [None] * 2, [], "pair")
    synthesizer = maker._synthesizer
    kinds = {synthesizer.plant(np.random.default_rng(seed), images(1)[0].numpy(), None).kind for seed in range(12)}
    assert kinds == {"texture"}
    recipe = synthesizer._textures.recipe
    assert (recipe.count, len(recipe.operations), recipe.grid) == (2, 7, 8)
    assert not {"brightness", "hue", "rotate"} & set(recipe.operations)
    assert isinstance(build_detector(tiny()), Detector)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_nobody_knows_of_real_defects_moves_no_variant(name: str) -> None:
    settings = config(name, **{"synthesis.shown_share": 0.5, "synthesis.pasted_share": 0.5})
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[8:20, 8:20] = True
    real = [RealDefect(images(1, seed)[0].numpy(), outline) for seed, outline in ((4, mask), (5, None))]
    pairs = build_pairs(settings, pictures(6), [None] * 6, [], "pair", None, real)
    given = tensors_of(pairs.batch(0, 8), slice(0, 8), torch.device("cpu"))
    assert not given["is_clean_known"].all()
    assert not given["is_outlined"].all()
    step = TrainingStep(shaken(build_detector(settings)), settings.diffusion, settings.loss)
    with torch.no_grad():
        before = step(**given)
        bare = given["is_outlined"].logical_not()[:, None, None, None].expand_as(given["clean"])
        after = step(**given | {"clean": torch.where(bare, 0.7, given["clean"])})
    assert all(torch.isfinite(loss) for loss in before)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
