"""In anomalib's world: the same weights give the same map, its engine trains, tests and predicts, a bundle comes back.

Runs where anomalib is: scripts/install bench, then .venv-bench/bin/python -m pytest tests/integrations.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anomalib", reason="anomalib is in an environment of its own: scripts/install bench")

import torch
from PIL import Image

from diffusionad import Inspector
from diffusionad.bundle import Bundle, recalibrate
from diffusionad.calibration import calibrate
from diffusionad.integrations.anomalib import DiffusionAD

pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = (
    *("data.size=[32, 32]", "data.shrink=1", "segmenter.widths=[8, 8]", "segmenter.patch=2", "training.batch=4"),
    *("denoiser.width=8", "denoiser.multipliers=[1, 2]", "denoiser.attention_levels=[1]", "denoiser.patch=2"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("part")
    for folder, count in (("good", 24), ("bar", 4), ("good_test", 4)):
        (root / folder).mkdir()
        for number in range(count):
            picture = rng.normal(150, 4, (32, 32, 3))
            if folder == "bar":
                picture[14:18, 6:26] = 20
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def fitted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> DiffusionAD:
    from anomalib.data import Folder
    from anomalib.engine import Engine

    model = DiffusionAD("tiny", settings=SMALL, visualizer=False)
    parts = Folder(
        "part",
        root=data,
        normal_dir="good",
        abnormal_dir="bar",
        normal_test_dir="good_test",
        train_batch_size=8,
        eval_batch_size=4,
        num_workers=0,
        val_split_mode="same_as_test",
    )
    engine = Engine(
        max_epochs=2, accelerator="cpu", default_root_dir=tmp_path_factory.mktemp("runs"), logger=False,
        enable_progress_bar=False,
    )  # fmt: skip
    engine.fit(model, datamodule=parts)
    results = engine.test(model, datamodule=parts)
    assert 0 <= results[0]["image_AUROC"] <= 1
    return model


def test_the_engine_trains_and_fits_what_is_usual(fitted: DiffusionAD) -> None:
    normality = fitted.model.detector.normality
    assert normality is not None
    assert normality.structure.whitening.abs().sum() > 0
    assert fitted._seen == 48


def test_scores_and_maps_lie_in_0_to_1(fitted: DiffusionAD) -> None:
    answer = fitted.model.eval()(torch.rand(2, 3, 32, 32))
    assert answer.pred_score.shape == (2,)
    assert answer.anomaly_map.shape == (2, 1, 32, 32)
    assert 0 <= float(answer.anomaly_map.min()) <= float(answer.anomaly_map.max()) <= 1


def test_the_same_weights_give_the_same_map_in_both_worlds(fitted: DiffusionAD, data: Path, tmp_path: Path) -> None:
    bundle = fitted.to_bundle(tmp_path / "bundle")
    ours, theirs = Inspector.load(bundle.folder), DiffusionAD.from_bundle(bundle.folder)
    for path in sorted((data / "bar").glob("*.png")):
        image = torch.from_numpy(np.asarray(Image.open(path))).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            before, after = (one.model.eval()(image).anomaly_map[0, 0].numpy() for one in (fitted, theirs))
        verdict = ours(path)
        assert verdict.anomaly_map is not None
        assert np.abs(before - after).max() == 0
        assert np.abs(verdict.anomaly_map - after).max() < 1e-5


@pytest.fixture(scope="module")
def judging(fitted: DiffusionAD, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose threshold is far from one half, so that forgetting it shows."""
    bundle = fitted.to_bundle(tmp_path_factory.mktemp("judging") / "bundle")
    return recalibrate(bundle, calibrate([0.01 * n for n in range(3, 23)], 0.05))


def test_the_threshold_of_a_bundle_decides_there_too(judging: Bundle, data: Path) -> None:
    theirs, ours = DiffusionAD.from_bundle(judging.folder).eval(), Inspector.load(judging.folder)
    assert judging.calibration is not None
    threshold = judging.calibration.threshold
    for path in [*sorted((data / "bar").glob("*.png")), *sorted((data / "good_test").glob("*.png"))]:
        image = torch.from_numpy(np.asarray(Image.open(path))).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            said = theirs(image)
        verdict = ours(path)
        assert bool(said.pred_label) == (verdict.verdict == "anomalous")
        moved = (verdict.score - threshold) / (2 * max(threshold, 1 - threshold)) + 0.5
        assert float(said.pred_score) == pytest.approx(moved, abs=1e-5)


def test_a_bundle_without_threshold_brings_none(fitted: DiffusionAD, tmp_path: Path) -> None:
    theirs = DiffusionAD.from_bundle(fitted.to_bundle(tmp_path / "bundle").folder)
    assert torch.isnan(theirs.post_processor.image_threshold)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_their_inferencer_says_the_same_of_an_export(
    kind: str, judging: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anomalib.deploy import OpenVINOInferencer
    from anomalib.engine import Engine

    monkeypatch.chdir(tmp_path)  # the inferencer makes its cache where it is
    model = DiffusionAD.from_bundle(judging.folder).eval()
    engine = Engine(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    exported = engine.export(model, kind, export_root=tmp_path)
    inferencer = OpenVINOInferencer(exported, device="CPU", config={"INFERENCE_PRECISION_HINT": "f32"})
    for path in (data / "bar" / "0.png", data / "good_test" / "0.png"):
        image = torch.from_numpy(np.asarray(Image.open(path))).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            expected = model(image)
        answer = inferencer.predict(path)
        assert np.abs(answer.anomaly_map - expected.anomaly_map.numpy()).max() < 1e-4
        assert answer.pred_score.item() == pytest.approx(expected.pred_score.item(), abs=1e-4)
        assert answer.pred_label.item() == expected.pred_label.item()


def test_what_is_exported_is_opset_18_and_one_picture_of_the_working_size(judging: Bundle, tmp_path: Path) -> None:
    import onnx

    model = DiffusionAD.from_bundle(judging.folder)
    written = onnx.load(model.to_onnx(tmp_path))
    assert written.opset_import[0].version == 18
    assert [axis.dim_value for axis in written.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 32, 32]


def test_pictures_are_not_normalised() -> None:
    model = DiffusionAD("tiny", settings=SMALL)
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(model.pre_processor.transform(image), image)
