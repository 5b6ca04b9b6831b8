"""Laws of the detector: the same image has the same map, alone or in company, now or from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from diffusionad.assembly import TorchBackend, build_detector
from diffusionad.config import Config, resolve
from diffusionad.detector import Detector
from diffusionad.normality import Evidence
from diffusionad.rng import fixed_noise
from diffusionad.structures import Picture
from diffusionad.training import habit
from diffusionad.training.habit import fit_normality
from diffusionad.training.state import save_weights

SIZE = 32


def tiny(**changed: object) -> Config:
    overrides = {
        "data.size": (SIZE, SIZE),
        "data.shrink": 1,
        "data.brightness": "linear",
        "denoiser.width": 8,
        "denoiser.multipliers": (1, 2),
        "denoiser.attention_levels": (1,),
        "denoiser.heads": 2,
        "denoiser.groups": 4,
        "segmenter.widths": (8, 8),
        "top_k": 640,  # ten pixels of the 32 x 32
    }
    return resolve("tiny", overrides={**overrides, **changed})


def shaken(detector: Detector, seed: int = 1) -> Detector:
    """Random weights where initialisation left zeros, so that every path matters."""
    chance = torch.Generator().manual_seed(seed)
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


@pytest.fixture(scope="module", params=["eps", "x0"])
def detector(request: pytest.FixtureRequest) -> Detector:
    return shaken(build_detector(tiny(**{"diffusion.prediction": request.param}).bare))


@torch.inference_mode()
def test_alone_or_in_a_batch_is_the_same(detector: Detector) -> None:
    batch = images(4)
    together = detector(batch)
    for index in range(4):
        for one, four in zip(detector(batch[index : index + 1]), together, strict=True):
            torch.testing.assert_close(one[0], four[index], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_same_image_twice_is_the_same_to_the_bit(detector: Detector) -> None:
    image = images(1)
    before = detector(image)
    torch.manual_seed(123)
    detector(images(1, seed=9))
    for first, second in zip(before, detector(image), strict=True):
        assert torch.equal(first, second)


@torch.inference_mode()
def test_shapes_and_ranges(detector: Detector) -> None:
    score, anomaly_map, reconstruction = detector(images(2))
    assert (score.shape, anomaly_map.shape) == ((2,), (2, SIZE, SIZE))
    assert reconstruction.shape == (2, 3, SIZE, SIZE)
    for values, low in ((score, 0.0), (anomaly_map, 0.0), (reconstruction, -1.0)):
        assert values.dtype == torch.float32
        assert values.min() >= low
        assert values.max() <= 1
    assert anomaly_map.std() > 1e-3


@torch.inference_mode()
def test_the_score_is_the_mean_of_the_highest_pixels(detector: Detector) -> None:
    score, anomaly_map, _ = detector(images(3))
    assert detector.top_k == 10
    for index in range(3):
        highest = np.sort(anomaly_map[index].numpy().astype(np.float64), axis=None)[-10:]
        assert score[index].item() == pytest.approx(highest.mean(), abs=1e-6)


@torch.inference_mode()
def test_another_image_another_noise_and_another_step_change_the_map(detector: Detector) -> None:
    image = images(1)
    _, anomaly_map, _ = detector(image)
    _, of_another, _ = detector(images(1, seed=5))
    assert (of_another - anomaly_map).abs().max() > 1e-3
    kept = detector.noise.clone()
    for scale in (0, 1):
        detector.noise[scale] = -kept[scale]
        _, with_noise, _ = detector(image)
        detector.noise.copy_(kept)
        assert (with_noise - anomaly_map).abs().max() > 1e-4
    for name, step in (("t_fine", 100), ("t_coarse", 900), ("guidance_weight", 0.0)):
        before = getattr(detector, name)
        setattr(detector, name, step)
        _, at_step, _ = detector(image)
        setattr(detector, name, before)
        assert (at_step - anomaly_map).abs().max() > 1e-4


@torch.inference_mode()
def test_inference_is_the_reconstruction_at_the_fixed_steps_and_noise(detector: Detector) -> None:
    image = images(2)
    _, anomaly_map, reconstruction = detector(image)
    noise = torch.from_numpy(fixed_noise(0, 3, (SIZE, SIZE)))
    fine, coarse = torch.tensor([331, 331]), torch.tensor([530, 530])
    eps_fine, eps_coarse = noise[0].repeat(2, 1, 1, 1), noise[1].repeat(2, 1, 1, 1)
    result = detector.reconstruct(image, fine, coarse, eps_fine, eps_coarse)
    assert torch.equal(reconstruction, result.guided)
    torch.testing.assert_close(anomaly_map, torch.sigmoid(detector.compare(image, result.guided)[0][:, 0]))


@torch.inference_mode()
def test_the_map_is_what_normality_makes_of_logits_fine_residual_and_image() -> None:
    detector = shaken(build_detector(tiny()))
    assert detector.normality is not None
    fit_normality(detector, pictures(12), pictures(4, seed=1), torch.device("cpu"))
    image = images(2, seed=7)
    result = detector.reconstruct_fixed(image)
    logits = detector.compare(image, result.guided)[0][:, 0]
    context = detector.compare(image, result.guided)[1]
    odds = detector.normality(Evidence(logits, image - result.fine.clamp(-1, 1), context), image)
    assert odds.std() > 0.01
    torch.testing.assert_close(detector(image)[1], torch.sigmoid(odds))


@torch.inference_mode()
def test_shrunk_the_networks_see_means_of_blocks_and_the_map_is_enlarged() -> None:
    whole, small = (shaken(build_detector(it)) for it in (tiny(**{"data.shrink": 2}), tiny(**{"data.shrink": 2}).bare))
    image = images(2)
    halved = image.reshape(2, 3, SIZE // 2, 2, SIZE // 2, 2).mean(dim=(3, 5))
    (seen, restored), (wanted, other) = whole.witness(image), small.witness(halved)
    for one, same in zip((*seen, restored), (*wanted, other), strict=True):
        torch.testing.assert_close(one, same)
    whole.normality = None
    _, anomaly_map, reconstruction = whole(image)
    logits = small.witness(halved)[0].logits
    assert reconstruction.shape == image.shape
    for row, column in ((0, 0), (SIZE // 2 - 1, SIZE // 2 - 1)):  # corners have nothing to be mixed with
        corner = anomaly_map[:, row * 2 + (row > 0), column * 2 + (column > 0)]
        torch.testing.assert_close(corner, torch.sigmoid(logits[:, row, column]))


@torch.inference_mode()
def test_shrunk_the_filter_bank_sees_what_the_networks_cannot() -> None:
    detector = shaken(build_detector(tiny(**{"data.shrink": 2})))
    smooth = [np.full((SIZE, SIZE, 3), 128 + n, np.uint8) for n in range(12)]
    fit_normality(detector, smooth, smooth[::3], torch.device("cpu"))
    image = torch.zeros(1, 3, SIZE, SIZE)
    checked = image.clone()
    checked[..., 8:16, 8:16] += 0.5 * (1 - 2 * (torch.arange(64).reshape(8, 8) + torch.arange(8)[:, None]).remainder(2))
    torch.testing.assert_close(detector.seen(checked), detector.seen(image))
    odds = (torch.logit(detector(checked)[1], 1e-9) - torch.logit(detector(image)[1], 1e-9))[0]
    assert odds[10:14, 10:14].min() > 1 > odds[24:, 24:].abs().max()


@torch.inference_mode()
def test_without_widths_the_segmenter_alone_decides() -> None:
    detector = shaken(build_detector(tiny(**{"normality.widths": ()})))
    fit_normality(detector, pictures(4), pictures(4, seed=1), torch.device("cpu"))
    image = images(2)
    logits = detector.compare(image, detector.reconstruct_fixed(image).guided)[0]
    assert torch.equal(detector(image)[1], torch.sigmoid(logits[:, 0]))


def test_the_normality_of_many_pictures_is_that_of_an_even_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(habit, "MOST", 5)
    many, held_out = pictures(12), pictures(2, seed=1)
    one, other = (build_detector(tiny()).eval() for _ in range(2))
    fit_normality(one, many, held_out, torch.device("cpu"))
    monkeypatch.undo()
    fit_normality(other, many[::3], held_out, torch.device("cpu"))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


@torch.inference_mode()
@pytest.mark.parametrize("difference", [True, False])
def test_the_segmenter_sees_image_reconstruction_and_difference_in_this_order(difference: bool) -> None:
    detector, seen = build_detector(tiny(**{"segmenter.difference": difference})), []

    def spy(shown: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(shown)
        return shown[:, :1], shown

    detector.segmenter.forward = spy  # type: ignore[method-assign]
    image, reconstruction = images(2), images(2, seed=1)
    detector.compare(image, reconstruction)
    (shown,) = seen
    assert torch.equal(shown[:, :3], image)
    assert torch.equal(shown[:, 3:6], reconstruction)
    assert shown.shape[1] == (9 if difference else 6)
    if difference:
        assert torch.equal(shown[:, 6:], (image - reconstruction).abs())


def test_the_map_loss_reaches_the_denoiser_through_both_passes() -> None:
    detector = shaken(build_detector(tiny(**{"diffusion.prediction": "x0"})))
    image = 0.1 * images(2)
    for kept in ("fine", "coarse"):
        detector.zero_grad()
        result = detector.reconstruct(image, torch.tensor([331, 331]), torch.tensor([530, 530]), image, image)
        (gradient,) = torch.autograd.grad(detector.compare(image, result.guided)[0].sum(), getattr(result, kept))
        assert gradient.abs().max() > 0


def test_the_seed_decides_weights_and_noise_and_leaves_torchs_own_chance_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (build_detector(tiny(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.rand(3), expected)
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert torch.equal(one.noise, same.noise)
    assert not torch.equal(one.noise, other.noise)
    assert not torch.equal(one.denoiser.enter.weight, other.denoiser.enter.weight)


def test_the_noise_is_not_part_of_the_weights() -> None:
    assert not [name for name in build_detector(tiny()).state_dict() if "noise" in name.split(".")]


@torch.inference_mode()
def test_an_image_of_another_size_is_refused(detector: Detector) -> None:
    with pytest.raises(RuntimeError):
        detector(torch.zeros(1, 3, 2 * SIZE, 2 * SIZE))


@torch.inference_mode()
def test_saved_weights_give_a_new_backend_the_same_map(tmp_path: Path) -> None:
    config = tiny()
    detector = shaken(build_detector(config), seed=8)
    save_weights(tmp_path / "model.safetensors", detector.state_dict())
    image = images(1)
    _, anomaly_map, reconstruction = detector(image)
    got_map, got_reconstruction = TorchBackend(config, tmp_path / "model.safetensors")(image[0].numpy())
    np.testing.assert_array_equal(got_map, anomaly_map[0].numpy())
    np.testing.assert_array_equal(got_reconstruction, reconstruction[0].numpy())
