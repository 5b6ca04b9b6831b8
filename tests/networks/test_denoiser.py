"""The denoiser against the published counts, and what it does with sizes that do not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from diffusionad.assembly import build_detector
from diffusionad.config import resolve
from diffusionad.networks import Denoiser
from diffusionad.networks.denoiser import step_embedding

TINY: dict[str, Any] = {
    "width": 8, "multipliers": (1, 2), "blocks": 1, "attention_levels": (1,), "heads": 2, "groups": 4
}  # fmt: skip


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def shaken(module: nn.Module) -> nn.Module:
    """Random weights where initialisation left zeros, so that every path matters."""
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            if not weight.any():
                weight.copy_(0.2 * torch.randn(weight.shape, generator=chance))
    return module


def test_the_journal_preset_has_the_papers_sizes() -> None:
    with torch.device("meta"):
        detector = build_detector(resolve("journal"))
        assert parameters(detector.denoiser) == 131_654_403
        assert parameters(detector.segmenter) == 28_373_569
        with FlopCounterMode(display=False) as denoising:
            detector.denoiser(torch.empty(1, 3, 256, 256), torch.zeros(1))
        with FlopCounterMode(display=False) as segmenting:
            detector.segmenter(torch.empty(1, 6, 256, 256))
    assert denoising.get_total_flops() / 2e9 == pytest.approx(281.6, abs=0.05)
    assert segmenting.get_total_flops() / 2e9 == pytest.approx(38.0, abs=0.05)


@pytest.mark.parametrize("embedding", ["additive", "scale_shift"])
@pytest.mark.parametrize(("patch", "size"), [(1, (32, 32)), (2, (32, 20)), (4, (16, 40)), (3, (12, 18))])
def test_the_prediction_has_the_shape_of_the_image(embedding: str, patch: int, size: tuple[int, int]) -> None:
    x_t = torch.randn(2, 3, *size)
    assert Denoiser(**TINY, patch=patch, embedding=embedding)(x_t, torch.tensor([0, 999])).shape == x_t.shape


@pytest.mark.parametrize("patch", [1, 4])
def test_an_untrained_denoiser_predicts_exactly_zero_and_can_still_learn(patch: int) -> None:
    network = Denoiser(**TINY, patch=patch)
    prediction = network(torch.randn(2, 3, 32, 32), torch.tensor([3, 700]))
    assert torch.count_nonzero(prediction) == 0
    (prediction - 1).square().sum().backward()
    last = network.leave[2].weight.grad
    assert last is not None
    assert last.abs().max() > 0


@pytest.mark.parametrize("embedding", ["additive", "scale_shift"])
def test_the_prediction_depends_on_the_step_of_each_sample_alone(embedding: str) -> None:
    network = shaken(Denoiser(**TINY, patch=2, embedding=embedding))
    x_t = torch.randn(1, 3, 16, 16).expand(3, -1, -1, -1)
    with torch.no_grad():
        one, again, other = network(x_t, torch.tensor([100, 100, 600]))
    torch.testing.assert_close(one, again, rtol=0, atol=1e-5)
    assert (one - other).abs().max() > 1e-3


def test_every_weight_takes_part() -> None:
    network = shaken(Denoiser(**TINY, patch=2, embedding="scale_shift"))
    network(torch.randn(2, 3, 16, 16), torch.tensor([3, 700])).square().sum().backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_attention_sees_the_whole_picture_and_convolutions_do_not() -> None:
    def reach(attention_levels: tuple[int, ...], middle: bool) -> float:
        torch.manual_seed(0)
        network = shaken(Denoiser(**{**TINY, "multipliers": (1,), "attention_levels": attention_levels}))
        if not middle:
            nn.init.zeros_(network.middle[0].attention.project.weight)
        for norm in network.modules():  # group statistics see everything too
            if isinstance(norm, nn.GroupNorm):
                norm.forward = lambda features: features  # type: ignore[method-assign]
        x_t = torch.randn(1, 3, 48, 4, requires_grad=True)
        network(x_t, torch.tensor([5]))[0, :, 0].sum().backward()
        assert x_t.grad is not None
        return float(x_t.grad[0, :, -1].abs().max())

    assert reach((), middle=False) == 0.0
    assert reach((), middle=True) > 0.0
    assert reach((0,), middle=False) > 0.0


@pytest.mark.parametrize("width", [2, 8, 128])
def test_the_step_embedding_is_the_sinusoids_of_transformers(width: int) -> None:
    t = torch.tensor([0, 1, 331, 999])
    half = width // 2
    expected = [
        [math.sin(step * 10000 ** (-i / half)) for i in range(half)]
        + [math.cos(step * 10000 ** (-i / half)) for i in range(half)]
        for step in t.tolist()
    ]
    torch.testing.assert_close(step_embedding(t, width), torch.tensor(expected), rtol=0, atol=2e-4)


def test_steps_have_embeddings_of_their_own() -> None:
    embedded = step_embedding(torch.arange(1000), 32)
    apart = torch.cdist(embedded, embedded) + torch.eye(1000)
    assert apart.min() > 0.05


@pytest.mark.parametrize("size", [(30, 32), (32, 36), (4, 32)])
def test_sizes_that_cannot_be_folded_and_halved_are_refused_by_torch(size: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError):
        Denoiser(**TINY, patch=4)(torch.randn(1, 3, *size), torch.tensor([5]))


@pytest.mark.parametrize(
    ("changed", "error"),
    [({"groups": 3}, ValueError), ({"heads": 3}, RuntimeError), ({"width": 9, "groups": 1, "heads": 1}, RuntimeError)],
)
def test_widths_that_cannot_be_shared_are_refused_by_torch(changed: dict[str, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        Denoiser(**{**TINY, **changed})(torch.randn(1, 3, 16, 16), torch.tensor([5]))
