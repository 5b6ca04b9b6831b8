"""Every method on every data set with every seed, one process at a time; what fails is a row too."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from diffusionad.benchmark.methods import Spec
from diffusionad.benchmark.scoring import Judged, figures, interval
from diffusionad.data import find_samples
from diffusionad.errors import CalibrationError, DataError, ResourceError
from diffusionad.files import alone_in, write_json
from diffusionad.fingerprint import processor, usable_processors
from diffusionad.rng import generator
from diffusionad.structures import Sample

__all__ = ["Asked", "Row", "folder_of", "means", "run_benchmark"]

HELD_OUT = 0.2
"""Share of the good training pictures that set the threshold, the same for every method; none of them is fitted on."""

_RAISED = re.compile(r"[\w.]+(Error|Exception): ")
"""How the first line of what ended a Python process begins; more lines may follow it."""

Line = Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One benchmark.

    Attributes:
        data: data sets in known layouts, with masks.
        methods: name -> what it is.
        out: its folder, of one benchmark alone; run again on the same to resume.
        seeds: how many: 0, 1, 2 ...
        train_seconds: of training at most, for each method that has no end of its own.
        limit_seconds: for a whole process; then it is ended and its row says so.
        size: working size (H, W).
        bench_python: of the environment for peers; None: their rows say that it is missing.
        bundles: folder with DATA-SEED/bundle that are scored instead of being trained; None: all are trained.
        textures: folder of texture pictures, for every method that plants them; None: see `Settings`.
        results: CSV file; a row is added when it is measured.
    """

    data: Sequence[Path]
    methods: Mapping[str, Spec]
    out: Path
    seeds: int = 1
    train_seconds: float = 900.0
    limit_seconds: float = 3600.0
    size: tuple[int, int] = (256, 256)
    bench_python: Path | None = None
    bundles: Path | None = None
    textures: Path | None = None
    results: Path | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One method on one data set with one seed; None where it was not measured, `status` then says why."""

    date: str
    dataset: str
    method: str
    title: str
    seed: int
    status: str
    image_auroc: float | None = None
    image_auroc_low: float | None = None
    image_auroc_high: float | None = None
    image_ap: float | None = None
    image_f1_max: float | None = None
    pixel_auroc: float | None = None
    pixel_ap: float | None = None
    aupro: float | None = None
    false_alarms: str = ""
    escapes: str = ""
    fit_seconds: float | None = None
    trained_seconds: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    peak_mb: float | None = None
    disk_mb: float | None = None
    size: str = ""
    cpu: str = ""
    threads: int = 0

    @property
    def learned_seconds(self) -> float | None:
        """Time it took to learn: of the training where a bundle was trained before, else of fitting."""
        return self.trained_seconds or self.fit_seconds


def run_benchmark(asked: Asked, line: Line = lambda text, passing: None) -> list[Row]:
    """Measure what is missing in `asked.out`; the rows of everything asked for, in that order.

    Raises:
        DataError: a data set without good training pictures, test pictures or masks.
        UsageError: another benchmark runs in that folder.
    """
    sets = {data.resolve().name: _read(data) for data in asked.data}
    rows = []
    with alone_in(asked.out, f"Another benchmark runs in {asked.out}: wait for it, or give another --out folder."):
        for seed in range(asked.seeds):
            for name, samples in sets.items():
                for method, spec in asked.methods.items():
                    folder = _folder(asked.out / "rows", name, method, seed)
                    known = _known(folder)
                    if known is None:
                        line(f"{name}, {method}, seed {seed}", False)
                        known = _measure(asked, name, samples, method, spec, seed, folder)
                        _append(asked.results, known)
                        line(f"  {_told(known)}", False)
                    rows.append(known)
    return rows


def folder_of(rows: Path, row: Row) -> Path:
    """What a method said, inside the folder of all rows."""
    return _folder(rows, row.dataset, row.method, row.seed)


def _folder(rows: Path, name: str, method: str, seed: int) -> Path:
    return rows / f"{name}-{method.replace(':', '.')}-{seed}"


def _read(data: Path) -> list[Sample]:
    samples = find_samples(data, "auto", None)
    good = [sample for sample in samples if sample.split == "train" and sample.is_good]
    test = [sample for sample in samples if sample.split == "test"]
    if len(good) < 10 or not any(s.is_good for s in test) or all(s.is_good for s in test):
        raise DataError(f"{data} has {len(good)} good training pictures and {len(test)} test pictures: a benchmark "
                        "needs 10, and good and defective ones to test on.")  # fmt: skip
    if unmasked := [sample.path for sample in test if not sample.is_good and sample.mask_path is None]:
        raise DataError(f"{len(unmasked)} defective test pictures have no mask, the first: {unmasked[0]}.")
    return [*good, *test]


def _known(folder: Path) -> Row | None:
    try:
        return Row(**json.loads((folder / "row.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _measure(
    asked: Asked, name: str, samples: Sequence[Sample], method: str, spec: Spec, seed: int, folder: Path
) -> Row:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    good = [sample.path for sample in samples if sample.split == "train"]
    order = generator(seed, "split").permutation(len(good))
    held = max(1, round(HELD_OUT * len(good)))
    bundle = _bundle(asked, name, spec, seed)
    keywords = dict(spec.keywords) | ({"bundle": str(bundle)} if bundle else {})
    job = {
        "spec": {**asdict(spec), "keywords": keywords},
        "seed": seed,
        "size": list(asked.size),
        "seconds": asked.train_seconds,
        "textures": str(asked.textures.resolve()) if asked.textures else None,
        "held_out": [str(good[place].resolve()) for place in order[:held]],
        "fit": [str(good[place].resolve()) for place in order[held:]],
        "test": [str(sample.path.resolve()) for sample in samples if sample.split == "test"],
    }
    write_json(folder / "job.json", job)
    row = Row(
        datetime.now(UTC).date().isoformat(),
        name,
        method,
        spec.title,
        seed,
        "measured" if bundle is None else "measured, trained before",
        size=f"{asked.size[0]}x{asked.size[1]}",
        cpu=processor()[0],
        threads=usable_processors(),
    )
    fault = _run(asked, spec, folder)
    if fault is None:
        try:
            row = _scored(row, folder, samples, held, asked.size, bundle is not None)
        except (OSError, ValueError, KeyError, CalibrationError, DataError) as error:
            fault = str(error)
    if fault is not None:
        row = Row(**{**asdict(row), "status": f"failed: {fault}"[:300]})
    for kept in ("maps", "model", "work"):
        shutil.rmtree(folder / kept, ignore_errors=True)
    write_json(folder / "row.json", asdict(row))
    return row


def _bundle(asked: Asked, name: str, spec: Spec, seed: int) -> Path | None:
    """A bundle of that preset, without other settings, that is there already."""
    if asked.bundles is None or "preset" not in spec.keywords or spec.keywords["changes"]:
        return None
    folder = asked.bundles / f"{name}-{seed}" / "bundle"
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError):
        return None
    return folder.resolve() if stored.get("preset") == spec.keywords["preset"] else None


def _run(asked: Asked, spec: Spec, folder: Path) -> str | None:
    """Why the process did not come to its end; None when it did."""
    python = Path(sys.executable) if spec.environment == "own" else asked.bench_python
    if python is None or not python.exists():
        return "the environment for peers is missing: scripts/install bench"
    command = [str(python), "-m", "diffusionad.benchmark.worker", str(folder.resolve() / "job.json")]
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        try:
            process = subprocess.Popen(  # noqa: S603  (the interpreter itself, or the one that was given)
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise ResourceError(f"{python} cannot be run: {error.strerror}.") from error
        with process:
            try:
                ended = process.wait(asked.limit_seconds)
            except subprocess.TimeoutExpired:
                return f"it took longer than {asked.limit_seconds:.0f} s"
            finally:
                process.kill()  # nothing happens where it has ended
    if ended == 0:
        return None
    if ended == -9:
        return "it was killed, as the system does when memory runs out"
    told = [line.strip() for line in (folder / "log.txt").read_text(errors="replace").splitlines() if line.strip()]
    raised = [line for line in told if _RAISED.match(line)] or told or ["it said nothing"]
    return f"exit code {ended}: {raised[-1]}"


def _scored(
    row: Row, folder: Path, samples: Sequence[Sample], held: int, size: tuple[int, int], trained_before: bool
) -> Row:
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    test = [sample for sample in samples if sample.split == "test"]
    judged = Judged(folder / "maps", answers["scores"], held, test, size)
    measured = figures(judged, folder / "model" / "bundle" if trained_before else None)
    low, high = interval(judged, row.seed)
    times = np.array(answers["milliseconds"][held:])
    numbers = {
        "image_auroc_low": low,
        "image_auroc_high": high,
        "fit_seconds": answers["fit_seconds"],
        "median_ms": float(np.median(times)),
        "p95_ms": float(np.quantile(times, 0.95)),
        "peak_mb": answers["peak_mb"],
        "disk_mb": answers["disk_mb"],
        **measured,
    }
    rounded = {name: round(it, 5) if isinstance(it, float) else it for name, it in numbers.items()}
    said = {
        "paths": [str(one.path) for one in test],
        "scores": answers["scores"][held:],
        "defective": [not one.is_good for one in test],
    }
    write_json(folder / "scores.json", said)
    np.save(folder / "small.npy", judged.small())
    return Row(**{**asdict(row), **rounded})


def _append(results: Path | None, row: Row) -> None:
    if results is None:
        return
    results.parent.mkdir(parents=True, exist_ok=True)
    new = not results.exists()
    with results.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))


def _told(row: Row) -> str:
    if row.image_auroc is None:
        return row.status
    return f"image AUROC {row.image_auroc:.4f}, AUPRO {row.aupro:.4f}, {row.median_ms:.1f} ms a picture"


def means(rows: Sequence[Row], names: Sequence[str]) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Method -> mean over data sets and seeds of each figure; None where it lacks a row that another method has."""
    wanted = len({(row.dataset, row.seed) for row in rows})
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        values = {name: [getattr(row, name) for row in own] + [None] * (wanted - len(own)) for name in names}
        yield method, {name: None if None in found else float(np.mean(found)) for name, found in values.items()}
