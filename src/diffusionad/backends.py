"""What runs the networks of a bundle: one signature, ONNX Runtime or OpenVINO behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffusionad.artifact import Precision
from diffusionad.errors import BundleError, ResourceError, UsageError
from diffusionad.rng import fixed_noise
from diffusionad.structures import FloatMap, Image

__all__ = ["Backend", "OnnxBackend", "OpenVinoBackend", "never_compiles_in_bf16", "openvino_at_home", "openvino_core"]


WIDEST = 13
"""Taps along the rows of a depthwise convolution that OpenVINO compiles in bf16."""


class Backend(Protocol):
    """image [C, H, W] -> (anomaly_map [H, W] 0..1, reconstruction [C, H, W]); the same for the same image."""

    def __call__(self, image: Image) -> tuple[FloatMap, Image]: ...


class OnnxBackend:
    """Runs an ONNX file with ONNX Runtime on the CPU.

    Args:
        path: the file.
        precision: what the file says, fp32 or int8 (its convolutions); for the name of the runtime.
        constants: name -> value of constants of the file that are replaced; see `with_draw`.

    Raises:
        BundleError: the file is not an ONNX model that this ONNX Runtime can run.
    """

    def __init__(
        self, path: Path, constants: Mapping[str, NDArray[np.float32]] | None = None, precision: Precision = "fp32"
    ) -> None:
        import onnxruntime

        self._path, self._precision = path, precision
        self.runtime = f"onnxruntime {onnxruntime.__version__}" + ("" if precision == "fp32" else f" {precision}")
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
        return OnnxBackend(self._path, constants, self._precision)

    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        anomaly_map, reconstruction = self._session.run(["anomaly_map", "reconstruction"], {"image": image[None]})
        return anomaly_map[0], reconstruction[0]


class OpenVinoBackend:
    """Runs an ONNX file or an OpenVINO model (XML, weights beside it) with OpenVINO on the CPU.

    OpenVINO chooses bf16 by itself where a processor has it; here the precision is always stated. An answer does not
    depend on how many threads make it.

    Args:
        path: the file.
        precision: of the arithmetic; int8: what is quantised in the file, all else in fp32.
        abreast: calls from different threads that are answered at the same time, by their share of the processors each;
            further ones wait.

    Raises:
        ResourceError: OpenVINO is not installed, or this processor does not compute in that precision.
        BundleError: the file is no model that this OpenVINO can run.
    """

    def __init__(self, path: Path, precision: Precision = "fp32", abreast: int = 1) -> None:
        with openvino_at_home() as openvino:
            self.runtime = f"openvino {openvino.__version__.partition('-')[0]} {precision}"
            core, hint = openvino_core(), "bf16" if precision == "bf16" else "f32"
            if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise ResourceError(
                    "This processor does not compute in bf16 (AVX512-BF16 or AMX): take --precision fp32 or int8.",
                    code="runtime.precision",
                )
            shared: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"} if abreast == 1 else {"NUM_STREAMS": abreast}
            settings = {"INFERENCE_PRECISION_HINT": hint, **shared}
            try:
                # From bytes: a model read from memory cannot reach for other files.
                weights = path.with_suffix(".bin").read_bytes() if path.suffix == ".xml" else b""
                model = core.read_model(path.read_bytes(), weights)
                if precision == "bf16" and never_compiles_in_bf16(model):
                    raise ResourceError(
                        f"{path} holds a filter that OpenVINO never ends compiling in bf16, as files of earlier "
                        "versions do: take --precision fp32 or int8, or train anew.",
                        code="runtime.precision",
                    )
                compiled = core.compile_model(model, "CPU", settings)
            except ResourceError:
                raise
            except Exception as error:  # OpenVINO raises RuntimeError and others of its own
                raise BundleError(
                    f"{path} cannot be run by OpenVINO {openvino.__version__}: {_first_line(error)}"
                ) from None
        self._idle = SimpleQueue[Any]()
        for _ in range(abreast):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        request = self._idle.get()
        try:
            request.infer({"image": image[None]})
            anomaly_map, reconstruction = (
                request.get_tensor(name).data[0].copy() for name in ("anomaly_map", "reconstruction")
            )
        finally:
            self._idle.put(request)
        return anomaly_map, reconstruction


@contextmanager
def openvino_at_home() -> Iterator[Any]:
    """The module openvino, which would report its import and what follows to its makers; here it does not.

    Raises:
        ResourceError: it is not installed.
    """
    before = os.environ.get("CI")
    if before != "true":
        os.environ["CI"] = "true"  # the one switch that needs no file in the user's home
    try:
        import openvino

        yield openvino
    except ImportError:
        raise ResourceError(
            'OpenVINO is not installed: pip install "diffusionad[openvino]".', code="extra.missing"
        ) from None
    finally:
        if before is None:
            del os.environ["CI"]
        elif before != "true":
            os.environ["CI"] = before


@cache
def openvino_core() -> Any:
    """The one Core of this process: when the last one goes, its plugins are unloaded under threads that still run.

    Raises:
        ResourceError: OpenVINO is not installed.
    """
    with openvino_at_home() as openvino:
        return openvino.Core()


def never_compiles_in_bf16(model: Any) -> bool:
    """Whether there is a depthwise convolution of 14 taps or more along the rows: in bf16, on AVX512-BF16, OpenVINO
    2026.4 makes code for it without end (13 taps: milliseconds). What `blurring` writes has none.
    """
    grouped = (each for each in model.get_ops() if each.get_type_name() == "GroupConvolution")
    return any(each.input(1).get_partial_shape()[-1].get_length() > WIDEST for each in grouped)


def _first_line(error: Exception) -> str:
    told = [line.strip() for line in str(error).splitlines() if line.strip()]
    return told[-1] if told else type(error).__name__
