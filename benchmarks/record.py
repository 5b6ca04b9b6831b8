"""Append one measured row to a results file: python benchmarks/record.py RUN EVALUATION --to results/foundation.csv.

RUN is a training run's folder, EVALUATION what `diffusionad evaluate --out` wrote. Nothing is typed by hand. With
`--kinds results/kinds.csv` each kind of defect gets a row there too.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from diffusionad.bundle import load_bundle
from diffusionad.fingerprint import usable_processors

COLUMNS = (
    "date",
    "dataset",
    "category",
    "seed",
    "preset",
    "size",
    "minutes",
    "images_seen",
    "image_auroc",
    "image_ap",
    "image_f1_max",
    "pixel_auroc",
    "pixel_ap",
    "pixel_f1_max",
    "aupro",
    "overkill",
    "escapes",
    "threshold_rule",
    "calibration_pictures",
    "selection_rule",
    "ms_per_picture",
    "commit",
    "config",
    "device",
    "cpu",
    "cores",
    "paper",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("evaluation", type=Path)
    arguments.add_argument("--to", type=Path, required=True)
    arguments.add_argument("--kinds", type=Path)
    given = arguments.parse_args()
    bundle = load_bundle(given.run / "bundle")
    measured = json.loads((given.evaluation / "metrics.json").read_text())
    config, origin = bundle.config, bundle.origin
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "dataset": origin.data,
        "category": origin.category,
        "seed": config.seed,
        "preset": config.preset,
        "size": "x".join(map(str, config.data.size)),
        "minutes": round(origin.seconds / 60, 2),
        "images_seen": origin.images,
        **{name: "" if value is None else round(value, 5) for name, value in measured["figures"].items()},
        "overkill": "{}/{}".format(*measured["overkill"]),
        "escapes": "{}/{}".format(*measured["escapes"]),
        "threshold_rule": bundle.calibration.rule if bundle.calibration else "",
        "calibration_pictures": bundle.calibration.n if bundle.calibration else "",
        "selection_rule": "held-out good pictures with planted defects",
        "ms_per_picture": round(measured["milliseconds"], 1),
        "commit": commit(),
        "config": sha256(config.model_dump_json().encode()).hexdigest()[:12],
        "device": origin.device,
        "cpu": cpu(),
        "cores": usable_processors(),
        "paper": "not reported at this budget",
    }
    append(given.to, [{name: row[name] for name in COLUMNS}])
    if given.kinds and measured["kinds"]:
        append(given.kinds, [_of_kind(row, kind, figures) for kind, figures in measured["kinds"].items()])


def _of_kind(row: Mapping[str, object], kind: str, figures: Mapping[str, float | None]) -> dict[str, object]:
    """A kind's row: which run, and the figures of that kind's pictures against all good ones."""
    run = {name: row[name] for name in ("date", "dataset", "seed", "preset", "minutes", "cores", "commit")}
    rounded = {name: "" if value is None else round(value, 5) for name, value in figures.items()}
    return {**run, "kind": kind, **rounded}


def append(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows, which have the same columns, to a CSV file; a new file gets a header."""
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def commit() -> str:
    """What is checked out, "-dirty" when something was changed."""
    return subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    ).stdout.strip()


def cpu() -> str:
    """Model and the widest vector instructions, which decide the speed."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    widest = next((name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags), "")
    model = next(
        (line.split(":")[1].strip() for line in flags.splitlines() if "model name" in line), platform.machine()
    )
    return f"{model} {widest}".strip()


if __name__ == "__main__":
    main()
