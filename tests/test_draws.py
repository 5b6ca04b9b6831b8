"""Several draws of the noise: the networks are the same, the fixed draw judges, the spread is that of all scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffusionad import Inspector
from diffusionad.backends import OnnxBackend
from diffusionad.errors import UsageError
from diffusionad.report.records import as_record, from_record
from diffusionad.rng import fixed_noise


@pytest.fixture(scope="module")
def picture(data: Path) -> Path:
    return next((data / "test" / "bar").glob("*.png"))


@pytest.mark.parametrize("draw", [0, 1, 2])
def test_another_draw_is_what_torch_makes_of_that_noise(trained: Path, draw: int) -> None:
    import torch
    from safetensors.torch import load_file

    from diffusionad.assembly import build_detector

    bundle = Inspector.load(trained / "bundle").bundle
    detector = build_detector(bundle.config).eval()
    detector.load_state_dict(load_file(bundle.weights))
    noise = fixed_noise(bundle.config.seed, 3, bundle.config.data.size, draw)
    detector.noise = torch.from_numpy(noise)
    image = np.random.default_rng(draw).uniform(-1, 1, (3, *bundle.config.data.size)).astype(np.float32)
    with torch.no_grad():
        expected = detector(torch.from_numpy(image)[None])
    found, rebuilt = OnnxBackend(bundle.onnx).with_draw(bundle.config.seed, draw)(image)
    assert np.allclose(found, expected[1][0].numpy(), atol=2e-5)
    assert np.allclose(rebuilt, expected[2][0].numpy(), atol=2e-4)


def test_the_fixed_draw_judges_and_the_spread_is_that_of_all(trained: Path, picture: Path) -> None:
    once, often = Inspector.load(trained / "bundle"), Inspector.load(trained / "bundle", draws=4)
    first, verdict = once(picture), often(picture)
    assert replace(verdict, spread=None, milliseconds=0, anomaly_map=None, reconstruction=None) == replace(
        first, milliseconds=0, anomaly_map=None, reconstruction=None
    )
    own = OnnxBackend(once.bundle.onnx)
    scores = [first.score]
    for draw in (1, 2, 3):
        scores.append(Inspector(once.bundle, own.with_draw(once.bundle.config.seed, draw))(picture).score)
    assert verdict.spread is not None
    assert verdict.spread.draws == 4
    assert verdict.spread.mean == pytest.approx(np.mean(scores))
    assert verdict.spread.deviation == pytest.approx(np.std(scores, ddof=1))
    assert verdict.spread.deviation > 0
    assert from_record(as_record(verdict)).spread == verdict.spread


def test_draws_that_cannot_be_are_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="not 0 times"):
        Inspector.load(trained / "bundle", draws=0)
    with pytest.raises(UsageError, match="onnx only"):
        Inspector.load(trained / "bundle", "torch", draws=2)
