"""Which runtime, precision or preset is fast enough on this machine: measured for a few seconds, and told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from diffusionad.artifact import Precision, Target
from diffusionad.backends import Backend, OnnxBackend, OpenVinoBackend
from diffusionad.bundle import Bundle
from diffusionad.config import resolve
from diffusionad.errors import ResourceError, UsageError
from diffusionad.files import write_json
from diffusionad.fingerprint import fingerprint
from diffusionad.network_files import to_openvino, to_quantised_onnx
from diffusionad.structures import Image

__all__ = ["Measured", "fastest_runtime", "milliseconds_of", "preset_within", "runtime_within"]

PRESETS = ("small", "tiny")
"""Of our own, the larger first; `base` takes twice the time of `small` and is no better in the mean."""

WARM_UP, LONGEST, MOST = 3, 2.0, 30
"""Runs that do not count; seconds and runs of one measurement at most."""

Line = Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was chosen, and all that was measured for it: name -> milliseconds an image, in the order of measuring."""

    chosen: str
    milliseconds: dict[str, float]

    def sentence(self) -> str:
        """The same for people."""
        told = ", ".join(f"{name} {taken:.1f} ms" for name, taken in self.milliseconds.items())
        return f"Chosen: {self.chosen}. Networks on this machine, an image at a time: {told}."


def milliseconds_of(backend: Backend, image: Image) -> float:
    """Median time of the networks alone for one image [C, H, W]."""
    taken: list[float] = []
    until = time.perf_counter() + LONGEST
    while len(taken) < WARM_UP + MOST and (len(taken) <= WARM_UP or time.perf_counter() < until):
        begun = time.perf_counter()
        backend(image)
        taken.append(1e3 * (time.perf_counter() - begun))
    return median(taken[WARM_UP:])


def fastest_runtime(bundle: Bundle, store: Path | None = None) -> tuple[str, str]:
    """The faster of ONNX Runtime and OpenVINO in fp32 for a plain bundle, and a sentence.

    It is measured once a bundle and machine, and kept in `store`, by default diffusionad/runtimes.json in the user's
    folder for caches. What an exported bundle was exported to is taken as it is.
    """
    if bundle.artifact is not None:
        return bundle.artifact.runtime, f"This bundle was exported to {bundle.artifact.runtime}."
    store = _store() if store is None else store
    machine = fingerprint("")
    key = f"{bundle.key} {machine.processor} {machine.threads}"
    known = _read(store)
    if known.get(key) in ("onnx", "openvino"):
        return known[key], f"Runtime {known[key]}, as measured before on this machine."
    measured = {"onnx": milliseconds_of(OnnxBackend(bundle.onnx), _image(bundle))}
    if find_spec("openvino"):
        measured["openvino"] = milliseconds_of(OpenVinoBackend(bundle.onnx), _image(bundle))
    found = Measured(min(measured, key=lambda name: measured[name]), measured)
    write_json(store, {**known, key: found.chosen})
    return found.chosen, found.sentence()


def runtime_within(
    bundle: Bundle, budget: float, images: Sequence[Image], line: Line = lambda text, passing: None
) -> tuple[Target, Precision, Measured]:
    """The most exact runtime and precision whose networks take at most `budget` milliseconds an image.

    Tried in this order: ONNX Runtime, OpenVINO in fp32, in bf16, then both in int8 (with `images` for its ranges;
    none: not tried). What is not installed, or the processor lacks, is left out.

    Raises:
        UsageError: none is fast enough; says how long each takes.
    """
    measured: dict[str, float] = {}
    with TemporaryDirectory(prefix="diffusionad-") as folder:
        for target, precision, backend in _ladder(bundle, Path(folder), images, line):
            name = f"{target} {precision}"
            measured[name] = milliseconds_of(backend, _image(bundle))
            line(f"{name}: {measured[name]:.1f} ms", False)
            if measured[name] <= budget:
                return target, precision, Measured(name, measured)
    raise UsageError(f"{_too_slow(budget, measured)} Train a smaller preset, or give more time.", code="budget")


def preset_within(budget: float, settings: Sequence[str], line: Line = lambda text, passing: None) -> Measured:
    """The larger of `PRESETS` whose networks take at most `budget` milliseconds an image; needs torch.

    The networks are not trained: how long they take does not depend on what they know. ONNX Runtime runs them; an
    export may be faster.

    Raises:
        UsageError: not even the smallest is fast enough.
    """
    from diffusionad.assembly import build_detector
    from diffusionad.export import to_onnx

    measured: dict[str, float] = {}
    with TemporaryDirectory(prefix="diffusionad-") as folder:
        for name in PRESETS:
            config, path = resolve(name, settings=settings), Path(folder) / f"{name}.onnx"
            to_onnx(build_detector(config), path)
            image = np.zeros((config.channels, *config.data.size), np.float32)
            measured[name] = milliseconds_of(OnnxBackend(path), image)
            line(f"{name}: {measured[name]:.1f} ms", False)
            if measured[name] <= budget:
                return Measured(name, measured)
    raise UsageError(f"{_too_slow(budget, measured)} Give more time, or a smaller data.size.", code="budget")


def _ladder(
    bundle: Bundle, folder: Path, images: Sequence[Image], line: Line
) -> Iterator[tuple[Target, Precision, Backend]]:
    yield "onnx", "fp32", OnnxBackend(bundle.onnx)
    has_openvino, quantises = find_spec("openvino") is not None, bool(images) and find_spec("nncf") is not None
    if has_openvino:
        yield "openvino", "fp32", OpenVinoBackend(bundle.onnx)
        try:
            yield "openvino", "bf16", OpenVinoBackend(bundle.onnx, "bf16")
        except ResourceError as error:
            line(str(error), False)
    else:
        line("OpenVINO is not installed, and not tried.", False)
    if quantises:
        yield "onnx", "int8", OnnxBackend(to_quantised_onnx(bundle.onnx, folder, images), precision="int8")
    if quantises and has_openvino:
        yield "openvino", "int8", OpenVinoBackend(to_openvino(bundle.onnx, folder, images), "int8")


def _too_slow(budget: float, measured: dict[str, float]) -> str:
    told = ", ".join(f"{name} {taken:.1f} ms" for name, taken in measured.items())
    return f"Nothing judges within {budget:g} ms on this machine: {told}."


def _image(bundle: Bundle) -> Image:
    return np.zeros((bundle.config.channels, *bundle.config.data.size), np.float32)


def _store() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "diffusionad" / "runtimes.json"


def _read(store: Path) -> dict[str, str]:
    try:
        stored = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is measured anew
    return {str(key): str(value) for key, value in stored.items()} if isinstance(stored, dict) else {}
