"""From the command to the first verdict: python benchmarks/start.py PYTHON BUNDLE PICTURE --to results/start.csv.

PYTHON is that of an environment made by `scripts/install runtime`, without torch. Each run is a whole process,
`diffusionad predict` on one picture: wall time until it has ended, and its peak memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from record import append, commit, cpu

from diffusionad.bundle import load_bundle

WARM_UP = 2


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("python", type=Path)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("picture", type=Path)
    arguments.add_argument("--runs", type=int, default=9)
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    has_torch = subprocess.run([given.python, "-c", "import torch"], capture_output=True, check=False).returncode == 0
    measured = [once(given.python, given.bundle, given.picture) for _ in range(WARM_UP + given.runs)][WARM_UP:]
    seconds, memory = zip(*measured, strict=True)
    bundle = load_bundle(given.bundle)
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "preset": bundle.config.preset,
        "runtime": bundle.artifact.made_on.runtime if bundle.artifact else "onnxruntime",
        "torch_installed": has_torch,
        "seconds": round(statistics.median(seconds), 3),
        "slowest": round(max(seconds), 3),
        "peak_mb": round(max(memory)),
        "runs": given.runs,
        "warm_up": WARM_UP,
        "commit": commit(),
        "cpu": cpu(),
    }
    append(given.to, [row])
    print(row)


def once(python: Path, bundle: Path, picture: Path) -> tuple[float, float]:
    """(seconds, peak MB) of one process."""
    with tempfile.TemporaryDirectory() as out:
        begun = time.perf_counter()
        command = [str(python), "-m", "diffusionad", "predict", str(bundle), str(picture), "--out", out]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"predict ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
