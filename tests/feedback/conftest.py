"""A bundle that may be changed, pictures an operator speaks of, and candidates that take no training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffusionad.bundle import Bundle, install_bundle, recalibrate
from diffusionad.calibration import calibrate
from diffusionad.files import file_hash


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "bundle", tmp_path / "run" / "bundle"))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good pictures and three with a dark square, whose masks are known."""
    rng, folder = np.random.default_rng(77), tmp_path_factory.mktemp("line")
    y, x = np.mgrid[:48, :48] - 24
    for name in ("good0", "good1", "good2", "bad0", "bad1", "bad2"):
        picture = np.where(np.hypot(x, y) < 17, 110.0, 215.0) + rng.normal(0, 4, (48, 48))
        mask = np.zeros((48, 48), np.uint8)
        if name.startswith("bad"):
            row, column = rng.integers(14, 28, 2)
            mask[row : row + 7, column : column + 7] = 255
            picture[mask > 0] = 20
            Image.fromarray(mask).save(folder / f"{name}_mask.png")
        Image.fromarray(np.repeat(picture.clip(0, 255).astype(np.uint8)[..., None], 3, 2)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def pictures(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "line"))


@pytest.fixture
def write(pictures: Path) -> Callable[..., Path]:
    """Write a table of rows beside the pictures."""

    def written(*rows: str, heading: str = "path,verdict,mask,by,note", name: str = "told.csv") -> Path:
        path = pictures / name
        path.write_text("\n".join((heading, *rows)) + "\n")
        return path

    return written


@pytest.fixture
def bytes_of() -> Callable[[Path], dict[str, bytes]]:
    return lambda folder: {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def tune() -> Callable[[Sequence[float] | None], Callable[..., Any]]:
    """A stand-in for fine-tuning: the same network, with a threshold from other scores."""

    def with_scores(scores: Sequence[float] | None = None) -> Callable[..., Any]:
        def made(old: Bundle, data: Path, out: Path, **asked: Any) -> Any:
            assert old.calibration is not None
            given = old.calibration.scores if scores is None else scores
            copy = install_bundle(old, out / "bundle")
            nudged = [score * (1 - 1e-9) for score in given]  # another bundle, which judges alike
            artifact = file_hash(copy.onnx)
            candidate = recalibrate(copy, calibrate(nudged, old.calibration.requested, artifact=artifact))
            return SimpleNamespace(bundle=candidate, images=0, warnings=(), asked=asked)

        return made

    return with_scores
