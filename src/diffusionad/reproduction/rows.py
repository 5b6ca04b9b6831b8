"""Measured rows: one CSV line a run, written at once, read again so that what is there is not run twice."""

from __future__ import annotations

import csv
import io
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import diffusionad
from diffusionad.bundle import Bundle
from diffusionad.config import Config
from diffusionad.errors import UsageError
from diffusionad.evaluation import Evaluation
from diffusionad.files import refused

__all__ = ["COLUMNS", "append_row", "config_key", "read_rows", "row_of"]

FIGURES = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro", "image_f1_max", "pixel_f1_max")

COLUMNS = (
    *("date", "dataset", "category", "seed", "preset", "variant", "size", "images_seen"),
    *FIGURES,
    *("images_per_second", "passes", "threshold_rule", "selection_rule", "commit", "config", "device", "cpu"),
    *("seconds", "paper_image_auroc", "paper_aupro"),
)
"""`seconds` is the time in the training loop; `config` names the settings without the seed."""


def config_key(config: Config) -> str:
    """Names a configuration, whatever its seed: 12 hexadecimal digits."""
    return sha256(config.model_dump_json(exclude={"seed"}).encode()).hexdigest()[:12]


def row_of(
    *,
    dataset: str,
    category: str,
    config: Config,
    bundle: Bundle,
    measured: Evaluation,
    images_per_second: float,
    paper: Mapping[str, float | None],
    variant: str = "",
) -> dict[str, str]:
    """One row, every value as text, "" where there is none.

    Args:
        dataset, category: what was measured on.
        config: as asked for, before epochs became images; of the variant where there is one.
        bundle: what was trained.
        measured: its figures.
        images_per_second: pictures through the networks.
        paper: the paper's image_auroc and aupro, fractions.
        variant: name in an ablation.
    """
    origin, calibration = bundle.origin, bundle.calibration
    values: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "dataset": dataset,
        "category": category,
        "seed": config.seed,
        "preset": config.preset,
        "variant": variant,
        "size": "x".join(map(str, config.data.size)),
        "images_seen": origin.images,
        **{name: _rounded(measured.figures[name]) for name in FIGURES},
        "images_per_second": round(images_per_second, 2),
        "passes": config.diffusion.passes if config.networks.startswith("denoiser") else 0,
        "threshold_rule": calibration.rule if calibration else "not calibrated",
        "selection_rule": "held-out good pictures with planted defects",
        "commit": _commit(),
        "config": config_key(config),
        "device": origin.device,
        "cpu": _cpu(),
        "seconds": origin.seconds,
        "paper_image_auroc": _rounded(paper.get("image_auroc")),
        "paper_aupro": _rounded(paper.get("aupro")),
    }
    return {name: str(values[name]) for name in COLUMNS}


def append_row(path: Path, row: Mapping[str, str]) -> None:
    """Add a row, on the disk when this returns. Raises ResourceError when it cannot be written."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        old = path.read_bytes() if path.exists() else b""
        if not old:
            writer.writeheader()
        elif not old.endswith(b"\n"):  # a line that a crash cut off stays a line of its own
            text.write("\n")
        writer.writerow(row)
        with path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(text.getvalue())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise refused(path, error) from error


def read_rows(path: Path) -> list[dict[str, str]]:
    """The complete rows of a file; none where there is no file.

    Raises:
        UsageError: the file has other columns.
    """
    if not path.exists():
        return []
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The results {path} cannot be read: {error}.") from None
    if lines and tuple(lines[0]) != COLUMNS:
        raise UsageError(f"{path} has other columns than these results: move it away or give another --results folder.")
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines[1:] if len(line) == len(COLUMNS)]


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 5)


def _commit() -> str:
    """What is checked out, "-dirty" when something was changed; "unknown" outside a checkout of this package."""
    package = Path(diffusionad.__file__).resolve().parent
    try:
        top = _git(package, "rev-parse", "--show-toplevel")
        if (Path(top) / "src" / "diffusionad").resolve() == package:
            return _git(package, "describe", "--always", "--dirty")
    except (OSError, subprocess.CalledProcessError):
        pass
    return "unknown"


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _cpu() -> str:
    """Model and the widest vector instructions, which decide the speed."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    widest = next((name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags), "")
    lines = (line.split(":")[1].strip() for line in flags.splitlines() if "model name" in line)
    return f"{next(lines, platform.machine())} {widest} x{os.cpu_count()}".replace("  ", " ")
