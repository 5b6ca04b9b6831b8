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


def test_pictures_are_not_normalised() -> None:
    model = DiffusionAD("tiny", settings=SMALL)
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(model.pre_processor.transform(image), image)
