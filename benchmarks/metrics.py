"""Time and peak memory of the pixel metrics: python benchmarks/metrics.py --to results/metrics.csv.

Each row is a process of its own that adds maps of 256 x 256 one by one, as `evaluate` does, and asks for all figures.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from record import commit, cpu

from diffusionad.metrics import PixelMetrics

COUNTS = (200, 1000)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", type=Path, required=True)
    arguments.add_argument("--maps", type=int, help="measure so many maps in this process and print the figures")
    given = arguments.parse_args()
    if given.maps:
        print(*measure(given.maps))
        return
    new = not given.to.exists()
    with given.to.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(["date", "maps", "side", "seconds", "peak_mb", "peak_mb_before", "commit", "cpu"])
        for count in COUNTS:
            command = [sys.executable, __file__, "--to", str(given.to), "--maps", str(count)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            writer.writerow([datetime.now(UTC).date().isoformat(), count, 256, *said, commit(), cpu()])
            stream.flush()
            print(f"{count} maps: {said[0]} s, peak {said[1]} MB of which {said[2]} before the first map")


def measure(count: int) -> tuple[float, int, int]:
    """(seconds, peak MB, peak MB before): continuous maps, nearly no value twice; a defect on every second one."""
    rng = np.random.default_rng(0)
    before = peak()
    metrics, taken = PixelMetrics(), 0.0
    for number in range(count):
        mask = np.zeros((256, 256), np.bool_)
        if number % 2:
            top, left = rng.integers(0, 200, 2)
            mask[top : top + 40, left : left + 30] = True
        values = np.clip(rng.normal(0.3 + 0.2 * mask, 0.1), 0, 1).astype(np.float32)
        begun = time.perf_counter()
        metrics.add(values, mask)
        taken += time.perf_counter() - begun
    begun = time.perf_counter()
    metrics.result()
    return round(taken + time.perf_counter() - begun, 2), peak(), before


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
