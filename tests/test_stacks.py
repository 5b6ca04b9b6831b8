"""Stacks: one part under several lights, a TIFF of grey pages, from the files to the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from diffusionad import Inspector, train
from diffusionad.bundle import load_bundle
from diffusionad.data import find_foregrounds, find_samples, read_picture
from diffusionad.evaluation import evaluate
from diffusionad.prediction import predict
from diffusionad.report.pictures import to_display
from diffusionad.synthesis.defects import DEFECTS
from diffusionad.synthesis.operations import OPERATIONS, Recipe, augment
from diffusionad.synthesis.textures import Textures
from diffusionad.tensors import to_image

LIGHTS = 4
SMALL = (
    f"data.channels={LIGHTS}",
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "training.batch=4",
    "training.validations=1",
)


def save(path: Path, stack: np.ndarray) -> None:
    first, *others = [Image.fromarray(np.ascontiguousarray(stack[..., light])) for light in range(stack.shape[2])]
    first.save(path, "TIFF", save_all=True, append_images=others)


def part(rng: np.random.Generator, *, defect: bool = False) -> np.ndarray:
    """A disc under four lights, [48, 48, 4] uint16; a defect shows under the last light alone."""
    y, x = np.mgrid[:48, :48] - 24
    levels = np.array([20000, 30000, 40000, 50000])
    stack = np.where((np.hypot(x, y) < 17)[..., None], levels, 3000) + rng.normal(0, 300, (48, 48, LIGHTS))
    if defect:
        stack[20:28, 16:32, 3] = 500
    return np.clip(stack, 0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("stacks") / "lit"
    for folder in ("train/good", "test/good", "test/dent", "ground_truth/dent"):
        (root / folder).mkdir(parents=True)
    for index in range(16):
        save(root / "train" / "good" / f"{index:02d}.tif", part(rng))
    mask = np.zeros((48, 48), np.uint8)
    mask[20:28, 16:32] = 255
    for index in range(2):
        save(root / "test" / "good" / f"{index}.tif", part(rng))
        save(root / "test" / "dent" / f"{index}.tif", part(rng, defect=True))
        Image.fromarray(mask).save(root / "ground_truth" / "dent" / f"{index}_mask.png")
    return root


@pytest.fixture(scope="module")
def run(stacks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a moment, its pictures in a cache."""
    out = tmp_path_factory.mktemp("run")
    train(stacks, out, preset="tiny", images=16, settings=SMALL, cache=out / "cache")
    return out


def test_the_bundle_says_how_many_and_its_networks_have_as_many(run: Path) -> None:
    bundle = load_bundle(run / "bundle")
    assert bundle.config.channels == LIGHTS
    said = json.loads((run / "bundle" / "config.json").read_text())
    assert said["config"]["data"]["channels"] == LIGHTS
    with safe_open(bundle.weights, "np") as weights:
        assert weights.get_slice("denoiser.enter.weight").get_shape()[1] == LIGHTS * 2 * 2


def test_every_light_reaches_the_networks_in_both_runtimes(run: Path, stacks: Path) -> None:
    by_onnx, by_torch = (Inspector.load(run / "bundle", runtime=runtime) for runtime in ("onnx", "torch"))
    path = stacks / "test" / "good" / "0.tif"
    stack = read_picture(path, channels=LIGHTS)
    whole = by_onnx(path)
    assert whole.anomaly_map is not None
    other = by_torch(path).anomaly_map
    assert other is not None
    assert np.abs(whole.anomaly_map - other).max() < 1e-4
    assert whole.reconstruction is not None
    assert whole.reconstruction.shape == (32, 32, LIGHTS)
    assert by_onnx(stack).score == whole.score
    for light in range(LIGHTS):
        changed = stack.copy()
        changed[..., light] = 65535 - changed[..., light]
        assert by_onnx(changed).score != whole.score


def test_files_and_arrays_of_other_channels_are_errors_never_good(run: Path, stacks: Path, tmp_path: Path) -> None:
    inspector = Inspector.load(run / "bundle")
    rng = np.random.default_rng(1)
    save(tmp_path / "three.tif", part(rng)[..., :3])
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(tmp_path / "colour.png")
    for name in ("three.tif", "colour.png"):
        verdict = inspector(tmp_path / name)
        assert (verdict.verdict, verdict.error_code) == ("error", "picture.channels")
    for array in (np.zeros((48, 48, 3), np.uint8), np.zeros((48, 48), np.uint8)):
        assert inspector(array).error_code == "picture.unsupported"


def test_predict_and_evaluate_draw_figures_overlays_and_report(run: Path, stacks: Path, tmp_path: Path) -> None:
    inspector = Inspector.load(run / "bundle")
    counts = predict(inspector, sorted((stacks / "test").rglob("*.tif")), tmp_path / "predicted")
    assert counts.error == 0
    result = evaluate(inspector, find_samples(stacks), tmp_path / "evaluated", data="lit")
    assert not result.unjudged
    assert result.figures["pixel_auroc"] is not None
    assert "data:image/webp" in (tmp_path / "evaluated" / "report.html").read_text()
    for folder in ("predicted", "evaluated"):
        drawn = list((tmp_path / folder / "overlays").rglob("*.png"))
        assert len(drawn) == 4
        with Image.open(drawn[0]) as overlay:
            assert (overlay.mode, overlay.size) == ("RGB", (48, 48))


def test_a_single_channel_is_grey_and_is_shown_as_grey() -> None:
    stack = part(np.random.default_rng(2))
    assert (to_display(stack[..., :1]) == to_display(np.repeat(stack[..., :1], 3, axis=2))).all()
    shown = to_display(stack)
    np.testing.assert_array_equal(shown[..., 0], np.rint((stack >> 8).mean(axis=2)).astype(np.uint8))
    assert (shown == shown[..., :1]).all()


@pytest.mark.parametrize("kind", sorted(DEFECTS))
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_defects_of_every_kind_have_the_channels_of_the_picture(kind: str, channels: int) -> None:
    rng = np.random.default_rng(3)
    image = to_image(rng.integers(0, 65536, (40, 48, channels), dtype=np.uint16))
    defect = DEFECTS[kind](rng, image, Textures())
    assert defect.content.shape == image.shape
    assert defect.content.dtype == np.float32
    assert np.abs(defect.content).max() <= 1


def test_operations_change_every_light_alike() -> None:
    grey = np.random.default_rng(4).integers(0, 256, (24, 24, 1), dtype=np.uint8)
    for operations in (1, 3, len(OPERATIONS)):
        changed = augment(np.random.default_rng(5), np.repeat(grey, 5, axis=2), Recipe(count=operations))
        assert changed.shape == (24, 24, 5)
        assert (changed == changed[..., :1]).all()


def test_the_object_is_found_in_stacks() -> None:
    rng = np.random.default_rng(6)
    found = find_foregrounds("auto", [part(rng) for _ in range(12)])
    assert found.kind == "aligned"
    y, x = np.mgrid[:48, :48] - 24
    disc = np.hypot(x, y) < 17
    mask = found.masks[0]
    assert mask is not None
    assert (mask & disc).sum() / (mask | disc).sum() > 0.75
