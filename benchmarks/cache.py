"""What the cache of decoded pictures costs and saves: python benchmarks/cache.py [--to results/cache.csv].

Writes generated JPEG pictures into a temporary folder. Each way of holding them runs in a process of its own: `memory`,
`cache` that is filled, `cache again` that is found, and `disk`, which decodes every picture whenever it is wanted, as
without either. Seconds to read the set, seconds of one epoch that takes every picture to an image once, peak memory.
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

COLUMNS = ("date", "pictures", "native", "working", "way", "read_s", "epoch_s", "peak_mb", "commit", "cpu")
NATIVE, WORKING = (480, 640), (128, 128)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=5000)
    arguments.add_argument("--way", help=argparse.SUPPRESS)
    arguments.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--to", type=Path, default=Path("results/cache.csv"))
    given = arguments.parse_args()
    if given.way:
        hold(given.way, given.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder, "good"), given.pictures)
        for way in ("memory", "cache", "cache again", "disk"):
            command = [sys.executable, __file__, "--way", way, "--data", folder]
            measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            row = {
                "date": datetime.now(UTC).date().isoformat(),
                "pictures": given.pictures,
                "native": "x".join(map(str, NATIVE)),
                "working": "x".join(map(str, WORKING)),
                "way": way,
                **measured,
                "commit": commit(),
                "cpu": cpu(),
            }
            print(row, flush=True)
            new = not given.to.exists()
            with given.to.open("a", newline="") as stream:
                writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)


def draw(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows, columns = np.mgrid[: NATIVE[0], : NATIVE[1]]
    part = np.where(np.hypot(rows - 240, columns - 320) < 180, 110, 210).astype(np.int16)[..., None]
    for number in range(count):
        noise = rng.integers(-12, 13, (*NATIVE, 1), dtype=np.int16)
        Image.fromarray(np.broadcast_to(part + noise, (*NATIVE, 3)).astype(np.uint8)).save(folder / f"{number:05d}.jpg")


def hold(way: str, folder: Path) -> None:
    from diffusionad.config import Config
    from diffusionad.data import read_picture, resize
    from diffusionad.tensors import to_image
    from diffusionad.training.data import read_good_pictures

    config = Config.model_validate({"data": {"size": WORKING, "foreground": "whole"}})
    cache = folder / "cache" if way.startswith("cache") else None
    paths = sorted((folder / "good").iterdir())
    started, pictures = time.monotonic(), []
    if way != "disk":
        good = read_good_pictures(folder / "good", config, "folder", None, spill=folder / "spill", cache=cache)
        pictures = [part.pictures for part in (good.training, good.validation, good.calibration)]
    read, started, total = time.monotonic() - started, time.monotonic(), 0.0
    wanted = (
        (resize(read_picture(path), WORKING) for path in paths) if way == "disk" else (p for q in pictures for p in q)
    )
    for picture in wanted:
        total += float(to_image(picture)[0, 0, 0])
    epoch = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    print(json.dumps({"read_s": round(read, 2), "epoch_s": round(epoch, 2), "peak_mb": round(peak, 1)}))


if __name__ == "__main__":
    main()
