"""What each means of making inference fast is worth: python benchmarks/means.py BUNDLE [--to results/means.csv].

One network, the same weights, images in memory; all variants take turns in one process, medians. `times_as_fast` is
against plain torch: fp32, eager, NCHW, both noise scales as one batch, without autograd. BUNDLE is not an export.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from record import append, commit, cpu

from diffusionad.assembly import detector_of
from diffusionad.backends import OpenVinoBackend
from diffusionad.bundle import Bundle, load_bundle
from diffusionad.detector import Detector
from diffusionad.network_files import to_openvino
from diffusionad.structures import Image

WARM_UP, TURN = 3, 5
Run = Callable[[Image], object]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--runs", type=int, default=60)
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    bundle = load_bundle(given.bundle)
    config = bundle.config
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (TURN, config.channels, *config.data.size)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        variants = dict(each for group in (of_torch, of_onnxruntime, of_openvino) for each in group(bundle, Path(name)))
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(-(-given.runs // TURN)):
            for name, run in variants.items():
                time.sleep(0.05)  # until the threads of the one before have stopped looking for work
                for number in range(-WARM_UP, TURN):
                    begun = time.perf_counter()
                    run(images[number])
                    if number >= 0:
                        seconds[name].append(time.perf_counter() - begun)
    plain = float(np.median(next(iter(seconds.values()))))
    for name, taken in seconds.items():
        median = float(np.median(taken)) / (TOGETHER if name.endswith(ABREAST) else 1)
        row = {
            "date": datetime.now(UTC).date().isoformat(),
            "preset": config.preset,
            "means": name,
            "ms": round(1e3 * median, 2),
            "times_as_fast": round(plain / median, 2),
            "runs": given.runs,
            "warm_up": WARM_UP,
            "threads": os.cpu_count() or 1,
            "commit": commit(),
            "cpu": cpu(),
        }
        print(f"{row['means']:70s} {row['ms']:7.2f} ms  {row['times_as_fast']:5.2f}")
        if given.to:
            append(given.to, [row])


def of_torch(bundle: Bundle, folder: Path) -> Iterator[tuple[str, Run]]:
    def eager(detector: Detector, *, bf16: bool = False) -> Run:
        @torch.inference_mode()
        def run(image: Image) -> object:
            shown = torch.from_numpy(image[None])
            with torch.autocast("cpu", torch.bfloat16) if bf16 else ExitStack():
                return detector(shown)

        return run

    def fresh() -> Detector:
        return detector_of(bundle.config, bundle.weights)

    yield "torch: fp32, eager, NCHW, both noise scales as one batch", eager(fresh())
    yield "torch: channels_last", eager(channels_last(fresh()))
    yield "torch: bf16", eager(fresh(), bf16=True)
    yield "torch: bf16 and channels_last", eager(channels_last(fresh()), bf16=True)
    yield "torch: a pass for each noise scale", eager(in_two_passes(fresh()))


def of_onnxruntime(bundle: Bundle, folder: Path) -> Iterator[tuple[str, Run]]:
    def session(threads: int = 0, level: str = "ENABLE_ALL", **without: list[str]) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
        return onnxruntime.InferenceSession(
            bundle.onnx.read_bytes(), options, providers=["CPUExecutionProvider"], **without
        )

    def asked(session: Any, *names: str) -> Run:
        return lambda image: session.run(list(names), {"image": image[None]})

    both = ("anomaly_map", "reconstruction")
    whole = session()
    yield "ONNX Runtime: fp32", asked(whole, *both)
    yield "ONNX Runtime: nothing folded or fused", asked(session(level="DISABLE_ALL"), *both)
    yield "ONNX Runtime: folded and fused, layouts as they are", asked(session(level="ENABLE_EXTENDED"), *both)
    yield "ONNX Runtime: the reconstruction is not asked for", asked(whole, "anomaly_map")
    yield "ONNX Runtime: one thread", asked(session(1), *both)
    yield f"ONNX Runtime: one thread a picture, {TOGETHER}{ABREAST}", together(asked(session(1), *both))


def of_openvino(bundle: Bundle, folder: Path) -> Iterator[tuple[str, Run]]:
    rng = np.random.default_rng(1)
    config = bundle.config
    shown = list(rng.uniform(-1, 1, (8, config.channels, *config.data.size)).astype(np.float32))
    (folder / "int8").mkdir()
    network = to_openvino(bundle.onnx, folder)
    yield "OpenVINO: fp32", OpenVinoBackend(network)
    yield "OpenVINO: bf16", OpenVinoBackend(network, "bf16")
    yield "OpenVINO: int8 convolutions", OpenVinoBackend(to_openvino(bundle.onnx, folder / "int8", shown), "int8")
    yield (
        f"OpenVINO: bf16, one thread a picture, {TOGETHER}{ABREAST}",
        together(OpenVinoBackend(network, "bf16", TOGETHER)),
    )


TOGETHER, ABREAST = os.cpu_count() or 1, " at the same time"


def together(run: Run) -> Run:
    """The same image as many times at once as there are processors; it is that many pictures."""
    callers = ThreadPoolExecutor(TOGETHER)
    return lambda image: list(callers.map(run, [image] * TOGETHER))


def channels_last(detector: Detector) -> Detector:
    for part in (detector.denoiser, detector.segmenter):
        if part is not None:
            part.to(memory_format=torch.channels_last)
    return detector


class _InTwo(torch.nn.Module):
    def __init__(self, denoiser: torch.nn.Module) -> None:
        super().__init__()
        self._denoiser = denoiser

    def forward(self, noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._denoiser(*half) for half in zip(noisy.chunk(2), t.chunk(2), strict=True)])


def in_two_passes(detector: Detector) -> Detector:
    assert detector.denoiser is not None
    detector.denoiser = _InTwo(detector.denoiser)
    return detector


if __name__ == "__main__":
    main()
