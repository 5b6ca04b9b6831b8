"""A folder of many pictures through `predict`: python benchmarks/throughput.py DATA BUNDLE --to results/throughput.csv.

The test pictures of DATA are linked into one folder again and again. `predict` runs as a process of its own; its memory
is read every second. The network alone, on one image in memory and asked as many times at once as `predict` asks, is
measured before and after, in this process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from record import append, commit, cpu

from diffusionad.cli.judge import MOST_ABREAST
from diffusionad.data import find_samples
from diffusionad.fingerprint import usable_processors
from diffusionad.inspector import Inspector
from diffusionad.structures import Image
from diffusionad.tensors import to_image


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--pictures", type=int, default=10_000)
    arguments.add_argument("--overlays", action="store_true")
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    paths = [sample.path for sample in find_samples(given.data) if sample.split == "test"]
    inspector = Inspector.load(given.bundle, abreast=min(usable_processors(), MOST_ABREAST))
    image = to_image(inspector.see(paths[0]).picture)
    before = network_rate(inspector, image)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        for number in range(given.pictures):
            first = folder / f"{number % len(paths):06d}{paths[number % len(paths)].suffix}"
            if number < len(paths):
                shutil.copyfile(paths[number], first)
            else:
                os.link(first, folder / f"{number:06d}{first.suffix}")
        seconds, memory = judged(given.bundle, folder, Path(name) / "out", given.overlays)
    rate, network = given.pictures / seconds, (before + network_rate(inspector, image)) / 2
    tenth = max(1, len(memory) // 10)
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "preset": inspector.bundle.config.preset,
        "runtime": inspector.fingerprint.runtime,
        "pictures": given.pictures,
        "overlays": given.overlays,
        "pictures_per_s": round(rate, 2),
        "network_pictures_per_s": round(network, 2),
        "share": round(rate / network, 3),
        "early_mb": round(max(memory[tenth : 2 * tenth] or memory)),
        "late_mb": round(max(memory[-tenth:])),
        "commit": commit(),
        "cpu": cpu(),
    }
    append(given.to, [row])
    print(row)


def network_rate(inspector: Inspector, image: Image) -> float:
    """Images a second, as many at the same time as `predict` judges."""

    def run(count: int) -> None:
        with ThreadPoolExecutor(inspector._abreast) as callers:
            list(callers.map(lambda _: inspector._backend(image), range(count)))

    run(10)
    begun = time.perf_counter()
    run(100)
    return 100 / (time.perf_counter() - begun)


def judged(bundle: Path, folder: Path, out: Path, overlays: bool) -> tuple[float, list[float]]:
    """Seconds of the whole process, and its resident memory in MB each second."""
    command = [sys.executable, "-m", "diffusionad", "predict", str(bundle), str(folder), "--out", str(out)]
    begun, memory = time.perf_counter(), list[float]()
    process = subprocess.Popen(command + ([] if overlays else ["--no-overlays"]), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        time.sleep(1)
    if process.returncode not in (0, 1):
        raise SystemExit(f"predict ended with {process.returncode}")
    return time.perf_counter() - begun, memory


if __name__ == "__main__":
    main()
