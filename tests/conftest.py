"""Shared: a small data set and a bundle trained on it for a moment; one thread, so results do not depend on cores."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

SMALL = (
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.attention_levels=[1]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "segmenter.patch=2",
    "training.batch=4",
    "training.validations=2",
    "training.warmup_images=8",
)
"""Settings of networks that train in a second."""


def draw_part(rng: np.random.Generator, *, defect: bool = False, side: int = 48) -> np.ndarray:
    """A grey disc on a light ground, [side, side, 3] uint8; a defect is a dark bar across it."""
    y, x = np.mgrid[:side, :side] - side / 2 + rng.uniform(-1, 1, (2, 1, 1))
    picture = np.where(np.hypot(x, y) < side * 0.35, 110.0, 215.0) + rng.normal(0, 4, (side, side))
    if defect:
        picture[side // 2 - 3 : side // 2 + 3, side // 4 : -side // 4] = 10
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def write_set(root: Path, *, good: int = 40, test: int = 6) -> Path:
    """A data set in the MVTec layout with one kind of defect."""
    rng = np.random.default_rng(0)
    for split, count in (("train", good), ("test", test)):
        folder = root / split / "good"
        folder.mkdir(parents=True)
        for index in range(count):
            Image.fromarray(draw_part(rng)).save(folder / f"{index:03d}.png")
    bars, masks = root / "test" / "bar", root / "ground_truth" / "bar"
    bars.mkdir()
    masks.mkdir(parents=True)
    for index in range(test):
        Image.fromarray(draw_part(rng, defect=True)).save(bars / f"{index:03d}.png")
        mask = np.zeros((48, 48), np.uint8)
        mask[21:27, 12:-12] = 255
        Image.fromarray(mask).save(masks / f"{index:03d}_mask.png")
    return root


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data") / "part")


@pytest.fixture(scope="session")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; read only."""
    from diffusionad import train

    out = tmp_path_factory.mktemp("run")
    train(data, out, preset="tiny", images=160, settings=SMALL)
    return out
