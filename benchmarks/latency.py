"""Pictures a second: python benchmarks/latency.py DATA BUNDLE ... [--to results/latency.csv] [--json].

Bundles may be exports; each judges as it was exported, and plain ones with ONNX Runtime, with OpenVINO and with plain
eager torch in fp32 as well. All take turns in this one process, ten pictures each, so that what else the machine does
meets all alike; compare ratios, not runs. `network_pictures_per_s` is the network alone on an image in memory,
`pictures_per_s` and the milliseconds are from the file to the verdict. The peak is that of 3 x 3 convolutions, 128 to
128 channels at 64 x 64, in the same runtime and precision, measured in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from record import append, commit, cpu
from torch.utils.flop_counter import FlopCounterMode

from diffusionad.artifact import Precision
from diffusionad.assembly import build_detector
from diffusionad.backends import openvino_at_home, openvino_core
from diffusionad.bundle import load_bundle
from diffusionad.config import Config
from diffusionad.data import find_samples
from diffusionad.errors import ResourceError
from diffusionad.inspector import Inspector, Runtime
from diffusionad.tensors import to_image

CHANNELS, SIDE, LAYERS = 128, 64, 8
WARM_UP = 3
TURN = 10


@dataclass(frozen=True, slots=True)
class Row:
    date: str
    preset: str
    size: str
    runtime: str
    precision: str
    network_pictures_per_s: float
    pictures_per_s: float
    median_ms: float
    p95_ms: float
    gflop: float
    gflop_per_s: float
    peak_gflop_per_s: float
    share_of_peak: float
    runs: int
    warm_up: int
    threads: int
    commit: str
    cpu: str


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("bundles", nargs="+", type=Path)
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--to", type=Path)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    paths = [sample.path for sample in find_samples(given.data) if sample.split == "test"]
    rows = measure(paths, given.bundles, given.runs)
    if given.to:
        append(given.to, [asdict(row) for row in rows])
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        print(
            f"{row.preset:8s} {row.size} {row.runtime:24s} {row.pictures_per_s:6.1f} pictures/s from file to verdict, "
            f"network alone {row.network_pictures_per_s:6.1f}, p95 / median {row.p95_ms / row.median_ms:.2f}, "
            f"{row.gflop:.2f} GFLOP, {row.gflop_per_s:.0f} of {row.peak_gflop_per_s:.0f} GFLOP/s"
        )


def measure(paths: list[Path], folders: list[Path], runs: int) -> list[Row]:
    contestants = [it for folder in folders for it in _contestants(folder)]
    peaks = {(runtime, precision): _convolutions(runtime, precision) for _, runtime, precision in contestants}
    images = [to_image(one.see(paths[0]).picture) for one, *_ in contestants]
    verdicts: list[list[float]] = [[] for _ in contestants]
    networks: list[list[float]] = [[] for _ in contestants]
    convolved: dict[tuple[str, str], list[float]] = {name: [] for name in peaks}
    for turn in range(-(-runs // TURN)):
        for place, (inspector, *_) in enumerate(contestants):
            time.sleep(0.05)  # until the threads of the one before have stopped looking for work
            for number in range(-WARM_UP, TURN):
                path = paths[(turn * TURN + number) % len(paths)]
                taken = _seconds(lambda one=inspector, at=path: one(at))
                alone = _seconds(lambda one=inspector, at=images[place]: one._backend(at))
                if number >= 0:
                    verdicts[place].append(taken)
                    networks[place].append(alone)
        for name, run in peaks.items():
            time.sleep(0.05)
            convolved[name].extend([_seconds(run) for _ in range(WARM_UP + 3)][WARM_UP:])
    flop = 2 * LAYERS * CHANNELS**2 * 9 * SIDE**2 / 1e9
    rows = []
    for place, (inspector, runtime, precision) in enumerate(contestants):
        config = inspector.bundle.config
        times, alone = np.array(verdicts[place]), np.array(networks[place])
        gflop = _gflop(config)
        peak = flop / float(np.median(convolved[runtime, precision]))
        reached = gflop / float(np.median(alone))
        rows.append(
            Row(
                datetime.now(UTC).date().isoformat(),
                config.preset,
                f"{config.data.size[0]}x{config.data.size[1]}",
                inspector.fingerprint.runtime,
                precision,
                round(1 / float(np.median(alone)), 2),
                round(1 / float(np.median(times)), 2),
                round(1e3 * float(np.median(times)), 2),
                round(1e3 * float(np.quantile(times, 0.95)), 2),
                round(gflop, 3),
                round(reached, 1),
                round(peak, 1),
                round(reached / peak, 3),
                runs,
                WARM_UP,
                os.cpu_count() or 1,
                commit(),
                cpu(),
            )
        )
    return rows


def _contestants(folder: Path) -> list[tuple[Inspector, str, Precision]]:
    artifact = load_bundle(folder).artifact
    if artifact is not None:
        return [(Inspector.load(folder), artifact.runtime, artifact.precision)]
    plain: tuple[Runtime, ...] = ("onnx", "openvino", "torch")
    return [(Inspector.load(folder, runtime), runtime, "fp32") for runtime in plain]


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _gflop(config: Config) -> float:
    """Of everything between image and map, two for a multiply-addition."""
    detector = build_detector(config).eval()
    image = torch.zeros(1, config.channels, *config.data.size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        detector(image)
    return counter.get_total_flops() / 1e9


def _convolutions(runtime: str, precision: Precision) -> Callable[[], object]:
    """A chain of convolutions, ready to run."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    if runtime == "torch":
        layers = torch.nn.Sequential(*(torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(LAYERS)))
        shown = torch.from_numpy(image)

        def eager() -> object:
            with torch.inference_mode():
                return layers(shown)

        return eager
    model = _chain(rng)
    if runtime == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"image": image})
    with openvino_at_home(), tempfile.TemporaryDirectory() as name:
        path = Path(name) / "chain.onnx"
        onnx.save(model, path)
        core = openvino_core()
        network = core.read_model(path)
        if precision == "int8":
            import nncf

            network = nncf.quantize(network, nncf.Dataset([image]), subset_size=1)
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ResourceError("This processor has no bf16.")
        hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32", "PERFORMANCE_HINT": "LATENCY"}
        request = core.compile_model(network, "CPU", hint).create_infer_request()
    return lambda: request.infer({"image": image})


def _chain(rng: np.random.Generator) -> onnx.ModelProto:
    weights, nodes, now = [], [], "image"
    for layer in range(LAYERS):
        values = rng.normal(0, (9 * CHANNELS) ** -0.5, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [now, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        now = f"r{layer}"
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(now, TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


if __name__ == "__main__":
    main()
