"""What runs the networks of a bundle: one signature, ONNX Runtime behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffusionad.errors import BundleError, UsageError
from diffusionad.rng import fixed_noise
from diffusionad.structures import FloatMap, Image

__all__ = ["Backend", "OnnxBackend"]


class Backend(Protocol):
    """image [C, H, W] -> (anomaly_map [H, W] 0..1, reconstruction [C, H, W]); the same for the same image."""

    def __call__(self, image: Image) -> tuple[FloatMap, Image]: ...


class OnnxBackend:
    """Runs model.onnx with ONNX Runtime on the CPU.

    Args:
        path: the file.
        constants: name -> value of constants of the file that are replaced; see `with_draw`.

    Raises:
        BundleError: the file is not an ONNX model that this ONNX Runtime can run.
    """

    def __init__(self, path: Path, constants: Mapping[str, NDArray[np.float32]] | None = None) -> None:
        import onnxruntime

        self._path = path
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(it) for name, it in (constants or {}).items()}
        for name, value in self._held.items():
            options.add_initializer(name, value)
        try:
            # From bytes: a model read from memory cannot reach for external data outside the bundle.
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(),
                options,
                providers=["CPUExecutionProvider"],
                # what is folded is the constant in the file, not what replaces it
                disabled_optimizers=["ConstantFolding"] if constants else None,
            )
        except Exception as error:  # ONNX Runtime raises many kinds, none of them documented
            raise BundleError(f"{path} cannot be run by ONNX Runtime {onnxruntime.__version__}: {error}.") from None

    def with_draw(self, seed: int, draw: int) -> OnnxBackend:
        """The same networks with another draw of the noise (`rng.fixed_noise`), from 1 on.

        Raises:
            UsageError: the file does not say where its noise is, as those of earlier versions.
        """
        told = self._session.get_modelmeta().custom_metadata_map
        kept = {name: json.loads(told[name]) for name in ("noise", "noise_fine", "noise_coarse") if name in told}
        if not ("noise" in kept or len(kept) == 2):
            raise UsageError("This bundle was written before several draws were possible: train it anew, or use one.")
        *_, channels, height, width = next(iter(kept.values()))["shape"]
        noise = fixed_noise(seed, channels, (height, width), draw)
        parts = {"noise": noise, "noise_fine": noise[0], "noise_coarse": noise[1]}
        constants = {name: np.float32(it["times"]) * parts[name].reshape(it["shape"]) for name, it in kept.items()}
        return OnnxBackend(self._path, constants)

    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        anomaly_map, reconstruction = self._session.run(["anomaly_map", "reconstruction"], {"image": image[None]})
        return anomaly_map[0], reconstruction[0]
