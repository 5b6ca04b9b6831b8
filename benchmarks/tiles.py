"""What a large picture takes in tile mode: python benchmarks/tiles.py BUNDLE [--to results/tiles.csv].

Draws a picture of SIDE x SIDE pixels as PNG, judges it through `Inspector` in a process of its own, and takes that
process's largest memory, decoding included. BUNDLE is one trained with data.fit=tile. Nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
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

COLUMNS = ("date", "side", "working", "tile", "overlap", "tiles", "seconds", "peak_mb", "map", "commit", "cpu")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--side", type=int, default=10_000)
    arguments.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--to", type=Path, default=Path("results/tiles.csv"))
    given = arguments.parse_args()
    if given.judge:
        judge(given.bundle, given.judge)
        return
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "large.png")
        draw(picture, given.side)
        command = [sys.executable, __file__, str(given.bundle), "--judge", str(picture)]
        measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "side": given.side,
        **measured,
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


def draw(path: Path, side: int) -> None:
    """A woven texture with noise, written in bands so that this process stays small too."""
    rng, across = np.random.default_rng(0), np.arange(side)
    pixels = np.empty((side, side, 3), np.uint8)
    for first in range(0, side, 500):
        down = np.arange(first, min(side, first + 500))[:, None]
        grey = 150 + 30 * np.sin(down / 5) + 30 * np.sin(across / 7) + rng.normal(0, 5, (len(down), side))
        pixels[first : first + len(down)] = np.clip(grey, 0, 255).astype(np.uint8)[..., None]
    Image.fromarray(pixels).save(path, compress_level=1)


def judge(bundle: Path, picture: Path) -> None:
    from diffusionad import Inspector

    inspector = Inspector.load(bundle)
    data = inspector.bundle.config.data
    started = time.monotonic()
    verdict = inspector(picture)
    if verdict.anomaly_map is None:
        raise SystemExit(verdict.error)
    tiling = inspector._framing.tiling(inspector.view(verdict.native_size))
    measured = {
        "working": "x".join(map(str, data.size)),
        "tile": "x".join(map(str, data.tile or data.size)),
        "overlap": data.overlap,
        "tiles": len(tiling.corners()) if tiling else 1,
        "seconds": round(time.monotonic() - started, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),  # kilobytes on Linux
        "map": "x".join(map(str, verdict.anomaly_map.shape)),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
