"""The paper's networks by every runtime against plain torch: python benchmarks/journal.py [--to results/journal.csv].

Preset `journal` with drawn weights: speed and differences do not need trained ones. Plain is fp32, eager, NCHW, without
autograd, both noise scales as one batch. All take turns in one process on drawn images; medians. `map_difference` is
the largest to the plain one's maps. `--int8` adds convolutions in int8, which takes minutes to make.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from record import append, commit, cpu
from torch.utils.flop_counter import FlopCounterMode

from diffusionad.assembly import build_detector
from diffusionad.backends import Backend, OnnxBackend, OpenVinoBackend
from diffusionad.config import resolve
from diffusionad.detector import Detector
from diffusionad.export import to_onnx
from diffusionad.network_files import to_openvino
from diffusionad.structures import FloatMap, Image

WARM_UP = 1


class Plain:
    runtime = f"torch {torch.__version__} eager fp32"

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @torch.no_grad()
    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        _, anomaly_map, reconstruction = self._detector(torch.from_numpy(image[None]))
        return anomaly_map[0].numpy(), reconstruction[0].numpy()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=7)
    arguments.add_argument("--int8", action="store_true")
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    config = resolve("journal")
    detector = drawn(build_detector(config).eval())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        detector(torch.zeros(1, config.channels, *config.data.size))
    gflop = counter.get_total_flops() / 1e9
    with tempfile.TemporaryDirectory() as name:
        rng = np.random.default_rng(0)
        images = rng.uniform(-1, 1, (given.runs + WARM_UP, config.channels, *config.data.size)).astype(np.float32)
        backends = [Plain(detector), *exported(detector, Path(name), list(images[:2]) if given.int8 else None)]
        seconds: list[list[float]] = [[] for _ in backends]
        apart = [0.0 for _ in backends]
        for number, image in enumerate(images):
            maps = []
            for place, backend in enumerate(backends):
                time.sleep(0.1)  # until the threads of the one before have stopped looking for work
                begun = time.perf_counter()
                maps.append(backend(image)[0])
                if number >= WARM_UP:
                    seconds[place].append(time.perf_counter() - begun)
            apart = [max(most, float(np.abs(one - maps[0]).max())) for most, one in zip(apart, maps, strict=True)]
    plain = float(np.median(seconds[0]))
    for backend, taken, difference in zip(backends, seconds, apart, strict=True):
        median = float(np.median(taken))
        row = {
            "date": datetime.now(UTC).date().isoformat(),
            "preset": "journal",
            "size": "x".join(map(str, config.data.size)),
            "runtime": getattr(backend, "runtime", ""),
            "median_ms": round(1e3 * median, 1),
            "times_as_fast": round(plain / median, 2),
            "gflop": round(gflop, 1),
            "gflop_per_s": round(gflop / median, 1),
            "map_difference": float(f"{difference:.2g}"),
            "runs": given.runs,
            "warm_up": WARM_UP,
            "threads": os.cpu_count() or 1,
            "commit": commit(),
            "cpu": cpu(),
        }
        print(row)
        if given.to:
            append(given.to, [row])


def drawn(detector: Detector) -> Detector:
    """With weights that leave no layer without effect: some begin at zero."""
    generator = torch.Generator().manual_seed(0)
    for parameter in detector.parameters():
        if parameter.ndim > 1:
            fan = parameter[0].numel()
            parameter.data = torch.randn(parameter.shape, generator=generator) * fan**-0.5
    return detector


def exported(detector: Detector, folder: Path, images: list[Image] | None) -> Iterator[Backend]:
    to_onnx(detector, folder / "model.onnx")
    yield OnnxBackend(folder / "model.onnx")
    network = to_openvino(folder / "model.onnx", folder)
    yield OpenVinoBackend(network)
    yield OpenVinoBackend(network, "bf16")
    if images is not None:
        (folder / "int8").mkdir()
        yield OpenVinoBackend(to_openvino(folder / "model.onnx", folder / "int8", images), "int8")


if __name__ == "__main__":
    main()
