"""diffusionad among the others: its own training and its own inspector; or a bundle that is already trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from diffusionad.benchmark.methods import Settings
from diffusionad.bundle import install_bundle, load_bundle
from diffusionad.errors import PictureError
from diffusionad.inspector import Inspector
from diffusionad.structures import FloatMap

__all__ = ["Ours"]


class Ours:
    """Trains a preset for the time given, and judges with ONNX Runtime; `bundle` is scored as it is instead."""

    def __init__(self, settings: Settings, preset: str, changes: Sequence[str] = (), bundle: str | None = None) -> None:
        self._settings, self._preset, self._changes, self._bundle = settings, preset, changes, bundle

    def fit(self, pictures: Sequence[Path]) -> None:
        bundle: Path | None = None if self._bundle is None else Path(self._bundle)
        if bundle is None:
            from diffusionad.training import train

            given = self._settings.work / "good"
            given.mkdir(parents=True)
            for number, path in enumerate(pictures):
                shutil.copyfile(path, given / f"{number:06d}{path.suffix}")  # links out of a folder are not trained on
            run = train(
                given,
                self._settings.work / "run",
                preset=self._preset,
                max_time=self._settings.seconds,
                seed=self._settings.seed,
                textures=self._settings.textures,
                settings=self._changes,
            )
            bundle = run.bundle.folder
        kept = install_bundle(load_bundle(bundle), self._settings.out / "bundle")
        self._inspector = Inspector.load(kept.folder)

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        verdict = self._inspector(path)
        if verdict.anomaly_map is None:
            raise PictureError(
                verdict.error or "The picture could not be judged.", code=verdict.error_code or "picture"
            )
        return verdict.score, verdict.anomaly_map
