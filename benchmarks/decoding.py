"""What a reduced decode saves: a JPEG of 5 megapixels to the working size, whole and as `see` does it.

python benchmarks/decoding.py [--to results/decoding.csv]; one process, medians, the two in turn.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from diffusionad.data import Framing, read_picture, see
from diffusionad.demo import draw_good

NATIVE = (1944, 2592)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=15)
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.jpg"
        part = Image.fromarray(draw_good("train", 0, size=512))
        part.resize(NATIVE[::-1], Image.Resampling.BICUBIC).save(path, quality=90)
        for side in (128, 256):
            rows.append(_row(path, Framing("stretch", (side, side)), given.runs))
    for row in rows:
        print(row)
    if given.to:
        new = not given.to.exists()
        with given.to.open("a", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            if new:
                writer.writeheader()
            writer.writerows(rows)


def _row(path: Path, framing: Framing, runs: int) -> dict[str, object]:
    view = framing.view(NATIVE)
    whole, reduced = [], []
    for _ in range(runs):
        begun = time.perf_counter()
        full = view.picture(read_picture(path))
        middle = time.perf_counter()
        fast = see(path, framing).picture
        whole.append(middle - begun)
        reduced.append(time.perf_counter() - middle)
    difference = np.abs(full.astype(int) - fast)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "native": f"{NATIVE[0]}x{NATIVE[1]}",
        "working": f"{framing.size[0]}x{framing.size[1]}",
        "runs": runs,
        "whole_ms": round(statistics.median(whole) * 1e3, 1),
        "reduced_ms": round(statistics.median(reduced) * 1e3, 1),
        "mean_difference_levels": round(float(difference.mean()), 2),
        "max_difference_levels": int(difference.max()),
    }


if __name__ == "__main__":
    main()
