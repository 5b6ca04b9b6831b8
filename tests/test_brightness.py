"""On the logarithmic scale equal ratios of brightness are equal steps, and there is a way back."""

from __future__ import annotations

import pytest
import torch

from diffusionad.assembly import build_detector
from diffusionad.brightness import linear, logarithm, logarithmic
from diffusionad.config import resolve
from diffusionad.tensors import DARK
from diffusionad.tensors import logarithmic as without_torch


def test_equal_contrasts_are_equal_steps_and_black_and_white_stay() -> None:
    brightness = 0.5 ** torch.arange(5) * (1 + DARK) - DARK  # each half as bright as the one before, over DARK
    image = 2 * brightness[brightness >= 0] - 1
    steps = logarithmic(image).diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps))
    assert steps[0] < -0.1
    torch.testing.assert_close(logarithm(image).diff(), torch.full_like(steps, 0.5).log())
    torch.testing.assert_close(logarithmic(torch.tensor([-1.0, 1.0])), torch.tensor([-1.0, 1.0]))


def test_there_is_a_way_back_and_nothing_leaves_the_range() -> None:
    image = torch.linspace(-1, 1, 256)
    torch.testing.assert_close(linear(logarithmic(image)), image, rtol=0, atol=1e-5)
    beyond = torch.tensor([-3.0, 3.0])
    assert torch.equal(linear(beyond), torch.tensor([-1.0, 1.0]))
    assert torch.equal(logarithmic(beyond), logarithmic(beyond.clamp(-1, 1)))
    torch.testing.assert_close(torch.from_numpy(without_torch(image.numpy())), logarithmic(image), rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("scale", ["logarithmic", "linear"])
def test_the_networks_see_the_scale_and_the_reconstruction_comes_back_from_it(scale: str) -> None:
    overrides = {"data.size": (32, 32), "data.brightness": scale, "normality.widths": ()}
    detector = build_detector(resolve("tiny", overrides=overrides)).eval()
    dark = torch.full((1, 3, 32, 32), -0.9)
    seen = detector.seen(dark)
    torch.testing.assert_close(seen, logarithmic(dark) if scale == "logarithmic" else dark)
    expected = detector.reconstruct_fixed(seen).guided
    torch.testing.assert_close(detector(dark)[2], linear(expected) if scale == "logarithmic" else expected)


def test_the_papers_presets_see_it_as_it_is() -> None:
    assert [resolve(name).data.brightness for name in ("journal", "paper-v1")] == ["linear", "linear"]
    assert resolve("small").data.brightness == "logarithmic"
