"""A small data set without a fault, of which every test breaks a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 80
ALLOWED = 0.1
"""A share of false alarms that 60 good pictures can promise."""


def draw(rng: np.random.Generator, *, defect: bool = False) -> np.ndarray:
    """A grey disc with a rim and a hole on a light ground, [80, 80, 3] uint8; a defect is a dark bar across it."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + rng.uniform(-2, 2, (2, 1, 1))
    radius = np.hypot(x, y) / SIDE
    picture = np.where(radius < 0.35, 110.0, 205.0) + 30 * (np.abs(radius - 0.3) < 0.03) - 60 * (radius < 0.08)
    picture = picture + rng.normal(0, 2) + rng.normal(0, 4, (SIDE, SIDE))
    if defect:
        picture[SIDE // 2 - 4 : SIDE // 2 + 4, SIDE // 5 : -SIDE // 5] = 15
    return np.stack([np.clip(picture + tint, 1, 253).astype(np.uint8) for tint in (0, 6, -5)], axis=2)


@pytest.fixture(scope="session")
def faultless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("doctor") / "part", np.random.default_rng(1)
    for folder, count in (("train/good", 60), ("test/good", 6), ("test/bar", 6), ("ground_truth/bar", 0)):
        (root / folder).mkdir(parents=True)
        for index in range(count):
            picture = draw(rng, defect=folder == "test/bar")
            Image.fromarray(picture).save(root / folder / f"{index:03d}.png")
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[SIDE // 2 - 4 : SIDE // 2 + 4, SIDE // 5 : -SIDE // 5] = 255
    for index in range(6):
        Image.fromarray(mask).save(root / "ground_truth" / "bar" / f"{index:03d}_mask.png")
    return root


@pytest.fixture
def part(faultless: Path, tmp_path: Path) -> Path:
    """A copy that may be broken."""
    return Path(shutil.copytree(faultless, tmp_path / "part"))


@pytest.fixture
def change() -> Callable[[Path, Callable[[np.ndarray], np.ndarray]], None]:
    """Rewrite a picture with its array changed."""

    def rewrite(path: Path, how: Callable[[np.ndarray], np.ndarray]) -> None:
        Image.fromarray(how(np.array(Image.open(path)))).save(path)

    return rewrite
