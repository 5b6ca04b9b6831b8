"""What a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from diffusionad.assembly import build_detector
from diffusionad.training.data import read_good_pictures
from diffusionad.training.real import find_real_defects
from diffusionad.training.runs import counted, resolve_run

__all__ = ["plan"]


def plan(
    data: str | Path,
    *,
    category: str | None = None,
    layout: str = "auto",
    preset: str | None = None,
    max_time: float | None = None,
    images: int | None = None,
    seed: int | None = None,
    foreground: str | None = None,
    roi: str | Path | None = None,
    settings: Sequence[str] = (),
    config_file: str | Path | None = None,
    defects: str | Path | None = None,
) -> dict[str, Any]:
    """Read the data and the settings as `train` would and return what it would do. Raises what `train` raises."""
    config = resolve_run(preset, max_time, images, seed, foreground, settings, config_file, roi)
    with TemporaryDirectory() as spill:
        good = read_good_pictures(Path(data), config, layout, category, spill=Path(spill))
    real = find_real_defects(Path(defects) if defects else None, Path(data), config, layout, category, good.roi)
    config = counted(config, len(good.training.samples))
    detector = build_detector(config)
    return {
        "training pictures": len(good.training.samples),
        "validation pictures": len(good.validation.samples),
        "calibration pictures": len(good.calibration.samples),
        "real defects": real.count,
        "real defects with a mask": real.outlined,
        "unreadable pictures": len(good.unreadable),
        "foreground": good.kind,
        "judged share": round(good.training.views[0].judged_share, 4),
        "foreground because": good.reason,
        "denoiser parameters": _parameters(detector.denoiser),
        "segmenter parameters": _parameters(detector.segmenter),
        "config": config.model_dump(mode="json"),
    }


def _parameters(network: nn.Module | None) -> int:
    return 0 if network is None else sum(weight.numel() for weight in network.parameters())
