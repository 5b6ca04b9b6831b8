"""Several draws of the noise: the networks are the same, the fixed draw judges, the spread is that of all scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffusionad import Inspector
from diffusionad.backends import OnnxBackend
from diffusionad.config import resolve
from diffusionad.errors import UsageError
from diffusionad.report.records import as_record, from_record
from diffusionad.rng import fixed_noise

from .conftest import SMALL


@pytest.fixture(scope="module")
def picture(data: Path) -> Path:
    return next((data / "test" / "bar").glob("*.png"))


@pytest.mark.parametrize("side", [32, 128], ids=["noise folded into the graph", "noise kept whole"])
def test_another_draw_is_what_torch_makes_of_that_noise(tmp_path: Path, side: int) -> None:
    import torch

    from diffusionad.assembly import build_detector
    from diffusionad.export import to_onnx

    config = resolve("tiny", settings=[*SMALL, f"data.size=[{side}, {side}]"])
    detector = build_detector(config).eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, weights in detector.named_parameters():
            if "leave" in name:  # zero at first: nothing would depend on the noise
                torch.nn.init.normal_(weights, std=0.05)
    to_onnx(detector, tmp_path / "model.onnx")
    backend = OnnxBackend(tmp_path / "model.onnx")
    image = np.random.default_rng(0).uniform(-1, 1, (3, side, side)).astype(np.float32)
    seen = []
    for draw in (0, 1, 2):
        detector.noise = torch.from_numpy(fixed_noise(config.seed, 3, config.network_size, draw))
        with torch.no_grad():
            expected = detector(torch.from_numpy(image)[None])[2][0].numpy()
        seen.append(backend.with_draw(config.seed, draw)(image)[1])
        assert np.allclose(seen[-1], expected, atol=1e-5)
    assert np.allclose(seen[0], backend(image)[1], atol=1e-6)
    assert np.abs(seen[0] - seen[1]).max() > 1e-3
    assert np.abs(seen[1] - seen[2]).max() > 1e-3


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


@pytest.mark.parametrize(
    "setting", ["diffusion.noise=simplex", "diffusion.reconstruction=one-step", "networks=segmenter"]
)
def test_several_draws_are_of_gaussian_noise_to_norm_only(
    trained: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    bundle = Inspector.load(trained / "bundle").bundle
    other = replace(bundle, config=resolve("tiny", settings=[*SMALL, setting]))
    monkeypatch.setattr("diffusionad.inspector.load_bundle", lambda folder: other)
    assert Inspector.load(trained / "bundle", draws=1).bundle is other
    with pytest.raises(UsageError, match=setting.rpartition(".")[2]):
        Inspector.load(trained / "bundle", draws=2)
