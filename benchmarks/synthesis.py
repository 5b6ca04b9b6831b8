"""Does synthesis starve training? Synthetic samples a second on one core against what a training step consumes.

python benchmarks/synthesis.py [--preset small] [--to results/synthesis.csv]; one run, medians, both in one process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from record import append

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.config import resolve
from diffusionad.demo import draw_good
from diffusionad.training.loop import tensors_of
from diffusionad.training.machine import open_fabric
from diffusionad.training.step import TrainingStep


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--preset", default="small")
    arguments.add_argument("--runs", type=int, default=8)
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    config = resolve(given.preset)
    open_fabric("cpu", 1, 1, config.training)
    pictures = [draw_good("train", index, size=config.data.size[0]) for index in range(8)]
    whole = [np.ones(config.data.size, dtype=np.bool_)] * len(pictures)
    planted = build_pairs(
        config.model_copy(update={"synthesis": config.synthesis.model_copy(update={"anomalous_share": 1.0})}),
        pictures,
        whole,
        [],
        "pair",
    )
    sample = statistics.median(_seconds(lambda: planted.batch(0, 8)) / 8 for _ in range(given.runs))
    pairs = build_pairs(config, pictures, whole, [], "pair")
    step = TrainingStep(build_detector(config), config.diffusion, config.loss)
    batch = tensors_of(pairs.batch(0, config.training.batch), slice(None), torch.device("cpu"))
    train = statistics.median(_seconds(lambda: sum(step(**batch)).backward()) for _ in range(given.runs))
    consumed = config.training.batch * config.synthesis.anomalous_share / train
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "preset": given.preset,
        "threads_of_torch": torch.get_num_threads(),
        "runs": given.runs,
        "synthetic_per_s_one_core": round(1 / sample, 1),
        "consumed_per_s": round(consumed, 2),
        "ratio": round(1 / sample / consumed, 1),
    }
    print(row)
    if given.to:
        append(given.to, [row])


def _seconds(call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
