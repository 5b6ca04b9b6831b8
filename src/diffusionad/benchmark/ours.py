"""diffusionad among the others: its own training, export and inspector; or a bundle that is already trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from diffusionad.artifact import Precision
from diffusionad.benchmark.methods import Settings
from diffusionad.bundle import install_bundle, load_bundle
from diffusionad.data import find_samples
from diffusionad.errors import PictureError
from diffusionad.inspector import Inspector
from diffusionad.structures import FloatMap

__all__ = ["Ours"]


class Ours:
    """Trains a preset for the time given, and judges with ONNX Runtime; `bundle` is scored as it is instead.

    With `precision` it is exported to OpenVINO in that, whatever the guard says: the row shows what it costs.
    """

    def __init__(
        self,
        settings: Settings,
        preset: str,
        changes: Sequence[str] = (),
        bundle: str | None = None,
        precision: Precision | None = None,
    ) -> None:
        self._settings, self._preset, self._changes, self._bundle = settings, preset, changes, bundle
        self._precision = precision

    def fit(self, pictures: Sequence[Path]) -> None:
        given, kept = self._settings.work / "good", self._settings.out / "bundle"
        if self._bundle is None or self._precision is not None:
            given.mkdir(parents=True)
            for number, path in enumerate(pictures):
                shutil.copyfile(path, given / f"{number:06d}{path.suffix}")  # links out of a folder are not trained on
        bundle = self._trained(given) if self._bundle is None else Path(self._bundle)
        if self._precision is None:
            install_bundle(load_bundle(bundle), kept)
        else:
            from diffusionad.deployment import export_bundle

            export_bundle(bundle, find_samples(given), kept, "openvino", self._precision, guard=1.0)
        self._inspector = Inspector.load(kept)

    def _trained(self, given: Path) -> Path:
        from diffusionad.training import train

        run = train(
            given,
            self._settings.work / "run",
            preset=self._preset,
            max_time=self._settings.seconds,
            seed=self._settings.seed,
            textures=self._settings.textures,
            settings=self._changes,
        )
        return run.bundle.folder

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        verdict = self._inspector(path)
        if verdict.anomaly_map is None:
            raise PictureError(
                verdict.error or "The picture could not be judged.", code=verdict.error_code or "picture"
            )
        return verdict.score, verdict.anomaly_map
