"""How long a training would take on this machine, from steps that are really done."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.config import Config
from diffusionad.reproduction.sizes import measure_sizes
from diffusionad.training.loop import tensors_of
from diffusionad.training.machine import lay_out, open_fabric
from diffusionad.training.step import TrainingStep
from diffusionad.training.watch import Line

__all__ = ["StepTime", "duration", "estimate", "time_a_step"]

PATIENCE = 4000
"""GMAC of forward and backward that one measured step may take: at most about half a minute on two cores."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """What a training image costs here.

    Attributes:
        seconds_per_image: measured; None where not even one image fits into memory.
        batch: of the measured step; smaller than the run's where that would take too much memory or time.
        needed, available: bytes of memory that one image's step takes, about, and that are free.
    """

    seconds_per_image: float | None
    batch: int
    needed: int
    available: int


def time_a_step(config: Config, device: str = "auto", steps: int = 2) -> StepTime:
    """Measure training steps on pictures of noise: loss, way back and optimiser, the run's precision and layout.

    Drawing the samples is left out: a run does it meanwhile. A large network is measured with a smaller batch and
    without a step to warm up; then the time is an upper bound.
    """
    each, fixed, gmac = _needs(config)
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fitting = min(config.training.batch, int((0.7 * available - fixed) // each), max(1, int(PATIENCE // gmac)))
    if fitting < 1:
        return StepTime(None, 0, fixed + each, available)
    fabric = open_fabric(device, 1, 1, config.training)
    detector = build_detector(config).train()
    lay_out(detector, fabric.device, config.denoiser.width)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-6)
    step, optimizer = fabric.setup(TrainingStep(detector, config.diffusion, config.loss), optimizer)
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 256, (*config.data.size, config.channels), dtype=np.uint8) for _ in range(fitting)]
    pairs = build_pairs(config, pictures, [None] * fitting, [], "pair")
    drawn = tensors_of(pairs.batch(0, fitting), slice(0, fitting), fabric.device)
    warm = gmac * fitting < PATIENCE / 4
    taken = []
    for _ in range(steps + 1 if warm else 1):
        begun = time.perf_counter()
        noise, mapped = step(**drawn)
        fabric.backward(noise + mapped)
        optimizer.step()
        optimizer.zero_grad()
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return StepTime(min(taken[1:] or taken) / fitting, fitting, fixed + each, available)


def _needs(config: Config) -> tuple[int, int, float]:
    """(bytes an image, bytes for weights and optimiser, GMAC an image) of a training step, about."""
    sizes = measure_sizes(config)
    guided = config.diffusion.reconstruction == "norm-guided"
    scales = {"denoiser": 2 if guided else 1}
    each = sum(scales.get(size.name, 1) * size.activation_bytes for size in sizes)
    fixed = sum(16 * size.parameters for size in sizes)  # weights, slopes and two moments, 4 bytes each
    return max(1, each), fixed, max(1e-6, 3 * sum(scales.get(size.name, 1) * size.gmac for size in sizes))


def estimate(runs: Sequence[Config], device: str, line: Line) -> None:
    """Say how long the training of these runs, epochs already counted as images, will take here."""
    step = time_a_step(runs[0], device)
    if step.seconds_per_image is None:
        line(
            f"No step could be measured: one image's step needs about {step.needed / 1e9:.1f} GB of memory, and "
            f"{step.available / 1e9:.1f} GB are free. Training will not fit either.",
            False,
        )
        return
    total = 0.0
    for config in runs:
        training = config.training
        by_images = training.images * step.seconds_per_image if training.images else float("inf")
        total += min(by_images, training.max_seconds or float("inf"))
    line(
        f"A training image takes {step.seconds_per_image:.3g} s here (measured, batch of {step.batch}): about "
        f"{duration(total)} of training for {len(runs)} runs; evaluation comes on top.",
        False,
    )


def duration(seconds: float) -> str:
    """A time for people."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
