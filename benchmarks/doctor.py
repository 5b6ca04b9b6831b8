"""How long `diffusionad doctor` takes, and how much memory: python benchmarks/doctor.py [--to results/doctor.csv].

Writes generated JPEG pictures of one megapixel into a temporary folder, then runs the command in a process of its own
and measures seconds from start to end and that process's largest memory. Nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from record import commit, cpu

COLUMNS = ("date", "pictures", "megapixels", "workers", "seconds", "peak_mb", "findings", "page", "commit", "cpu")
SIDE = 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=1000)
    arguments.add_argument("--to", type=Path, default=Path("results/doctor.csv"))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "good")
        write_pictures(data, given.pictures)
        start = time.monotonic()
        command = [sys.executable, "-m", "diffusionad", "doctor", str(data), "--out", folder, "--json"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
    if result.returncode not in (0, 1):
        raise SystemExit(result.stdout + result.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kilobytes on Linux
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "pictures": given.pictures,
        "megapixels": SIDE * SIDE / 1e6,
        "workers": os.cpu_count(),
        "seconds": round(seconds, 2),
        "peak_mb": round(peak / 1024, 1),
        "findings": " ".join(finding["code"] for finding in json.loads(result.stdout)["findings"]),
        "page": "yes",
        "commit": commit(),
        "cpu": cpu(),
    }
    print(row)
    new = not given.to.exists()
    with given.to.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def write_pictures(folder: Path, count: int) -> None:
    """A lit disc that lies a little elsewhere each time, with grain; one picture in memory at a time."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 6, (SIDE, SIDE, 3)).astype(np.float32)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - SIDE / 2
    for index in range(count):
        left, down = rng.uniform(-15, 15, 2)
        disc = np.hypot(x - left, y - down) < SIDE * 0.35
        picture = np.where(disc, 120 + x / 25, 205)[..., None] + np.roll(grain, rng.integers(SIDE, size=2), (0, 1))
        Image.fromarray(np.clip(picture + rng.normal(0, 2), 0, 255).astype(np.uint8)).save(
            folder / f"{index:05d}.jpg", quality=90
        )


if __name__ == "__main__":
    main()
