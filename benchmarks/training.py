"""Images a second of a training step: python benchmarks/training.py DATA [--presets small] [--to results/training.csv].

A step is all that `diffusionad train` does between two batches: losses, gradients, clipping, optimizer, average. As it
is trained here (precision and layout chosen for this machine) against the same modules in fp32, channels first, by
turns in one process. `drawn` is the rate at which one thread makes batches, which runs beside the step. The peak is
that of 3 x 3 convolutions, 128 to 128 channels at 64 x 64, forward and backward in the same precision, measured in the
same turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from record import append, commit, cpu
from torch.utils.flop_counter import FlopCounterMode

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.config import Config, resolve
from diffusionad.data import find_samples, read_picture, resize
from diffusionad.losses import total_loss
from diffusionad.pairs import PairMaker
from diffusionad.training.loop import tensors_of
from diffusionad.training.machine import lay_out, open_fabric
from diffusionad.training.state import Averaged
from diffusionad.training.step import TrainingStep

CHANNELS, SIDE, LAYERS, BATCH = 128, 64, 4, 4
WARM_UP, TURN = 2, 5


@dataclass(frozen=True, slots=True)
class Row:
    date: str
    preset: str
    size: str
    batch: int
    precision: str
    images_per_s: float
    plain_images_per_s: float
    times_plain: float
    drawn_per_s: float
    gflop_an_image: float
    gflop_per_s: float
    peak_gflop_per_s: float
    share_of_peak: float
    peak_mb: float
    runs: int
    warm_up: int
    threads: int
    commit: str
    cpu: str


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--presets", nargs="+", default=["small"])
    arguments.add_argument("--runs", type=int, default=50)
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    good = [sample.path for sample in find_samples(given.data) if sample.split == "train"][:40]
    for preset in given.presets:
        row = measure(resolve(preset), good, given.runs)
        if given.to:
            append(given.to, [asdict(row)])
        print(
            f"{row.preset}: {row.images_per_s} images/s in {row.precision}, {row.times_plain} times plain fp32 "
            f"({row.plain_images_per_s}); drawn {row.drawn_per_s}/s; {row.gflop_an_image} GFLOP an image, "
            f"{row.gflop_per_s} of {row.peak_gflop_per_s} GFLOP/s; peak memory {row.peak_mb} MB"
        )


def measure(config: Config, good: list[Path], runs: int) -> Row:
    pictures = [resize(read_picture(path), config.data.size) for path in good]
    pairs = build_pairs(config, pictures, [None] * len(pictures), (), "pair")
    batch = config.training.batch
    chosen = open_fabric("cpu", 1, 1, config.training)
    plain = open_fabric("cpu", 1, 1, config.training.model_copy(update={"precision": "fp32"}))
    precision = "bf16" if chosen._precision.precision == "bf16-mixed" else "fp32"
    contestants = {
        "chosen": _step(config, pairs, chosen, is_laid_out=True),
        "plain": _step(config, pairs, plain, is_laid_out=False),
        "peak": _convolutions(precision),
        "drawn": lambda: pairs.batch(0, batch),
    }
    gflop = _gflop(config, pairs)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(-(-runs // TURN)):
        for name, run in contestants.items():
            for number in range(-WARM_UP, TURN):
                begun = time.perf_counter()
                run()
                if number >= 0:
                    seconds[name].append(time.perf_counter() - begun)
    taken = {name: float(np.median(values)) for name, values in seconds.items()}
    peak = 3 * 2 * LAYERS * CHANNELS**2 * 9 * SIDE**2 * BATCH / 1e9 / taken["peak"]
    reached = gflop * batch / taken["chosen"]
    return Row(
        datetime.now(UTC).date().isoformat(),
        config.preset,
        f"{config.data.size[0]}x{config.data.size[1]}",
        batch,
        precision,
        round(batch / taken["chosen"], 1),
        round(batch / taken["plain"], 1),
        round(taken["plain"] / taken["chosen"], 2),
        round(batch / taken["drawn"], 1),
        round(gflop, 2),
        round(reached, 1),
        round(peak, 1),
        round(reached / peak, 3),
        round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0),
        runs,
        WARM_UP,
        torch.get_num_threads(),
        commit(),
        f"{cpu()} ({len(os.sched_getaffinity(0))} processors)",
    )


def _step(config: Config, pairs: PairMaker, fabric: Fabric, *, is_laid_out: bool) -> Callable[[], None]:
    detector = build_detector(config.bare).train()
    if is_laid_out:
        lay_out(detector, fabric.device, config.denoiser.width)
    averaged = Averaged(detector, config.training.ema_images)
    settings = config.training
    step, optimizer = fabric.setup(
        TrainingStep(detector, config.diffusion, config.loss),
        torch.optim.AdamW(detector.parameters(), lr=1e-5, fused=True),
    )
    drawn = tensors_of(pairs.batch(0, settings.batch), slice(None), fabric.device)

    def run() -> None:
        loss = total_loss(*step(**drawn))
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(step, optimizer, max_norm=settings.clip)
        optimizer.step()
        averaged.update(detector, settings.batch, 1)

    return run


def _gflop(config: Config, pairs: PairMaker) -> float:
    """Of a step for one image, forward and backward, two for a multiply-addition."""
    detector = build_detector(config.bare).train()
    step = TrainingStep(detector, config.diffusion, config.loss)
    drawn = tensors_of(pairs.batch(0, config.training.batch), slice(None), torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        total_loss(*step(**drawn)).backward()
    return counter.get_total_flops() / config.training.batch / 1e9


def _convolutions(precision: str) -> Callable[[], None]:
    layers = torch.nn.Sequential(*(torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(LAYERS)))
    shown = torch.randn(BATCH, CHANNELS, SIDE, SIDE, requires_grad=True)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            layers(shown).sum().backward()

    return run


if __name__ == "__main__":
    main()
