"""`diffusionad benchmark`: methods side by side on the same pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from diffusionad.cli.screen import Screen, number, seconds
from diffusionad.errors import UsageError

if TYPE_CHECKING:
    from diffusionad.benchmark import Row

__all__ = ["benchmark"]

_FIGURES = ("image_auroc", "pixel_auroc", "aupro", "pixel_ap")
_USUAL = "diffusionad-small,patchcore,padim,nearest-32,zscore-64"


def benchmark(
    data: list[Path],
    /,
    *,
    out: Path,
    methods: str = _USUAL,
    method: Annotated[list[str] | None, Parameter(negative=())] = None,
    seeds: int = 1,
    train_time: str = "15m",
    time_limit: str = "1h",
    size: int = 256,
    bundles: Path | None = None,
    textures: Path | None = None,
    bench: Path = Path(".venv-bench/bin/python"),
    results: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Measure methods on the same pictures, a process each, and write OUT/report.html. Run again to resume.

    A fifth of the good training pictures sets each method's threshold and trains none. Two floors that learn next to
    nothing are always measured. Exit code 3: a method failed; its row says why.

    Example: diffusionad benchmark ./bottle ./cable --methods diffusionad-small,padim --out runs/benchmark

    Args:
        data: Data sets in known layouts, with masks.
        out: Folder of this benchmark.
        methods: Names, separated by commas; an unknown one lists all.
        method: Anybody's own, module:Class with fit(pictures) and predict(path); any number of times.
        seeds: How many: 0, 1, 2 ...
        train_time: For each method whose training has no end of its own: 15m, 90s.
        time_limit: For a whole process; then it is ended and its row says so.
        size: Working size, in pixels a side.
        bundles: Folder with DATA-SEED/bundle, trained before: these are scored and not trained again.
        textures: Folder of texture pictures, which DRAEM needs and ours uses in place of drawn ones.
        bench: Python of the environment for peers, made by `scripts/install bench`.
        results: CSV file to which each row is added when it is measured.
        json: Print one JSON object instead of text.
    """
    from diffusionad.benchmark import Asked, parse_methods, run_benchmark
    from diffusionad.benchmark.page import write_page
    from diffusionad.benchmark.ranking import places
    from diffusionad.benchmark.running import means

    screen = Screen(json)
    if seeds < 1 or not 32 <= size <= 2048:
        raise UsageError(f"A benchmark takes one seed or more and 32 to 2048 pixels; asked were {seeds} and {size}.")
    names = [name.strip() for name in methods.split(",") if name.strip()]
    floors = [name for name in ("nearest-32", "zscore-64") if name not in names]
    asked = Asked(
        data,
        parse_methods([*names, *floors], method or []),
        out,
        seeds,
        seconds(train_time),
        seconds(time_limit),
        (size, size),
        bench.absolute(),
        bundles,
        textures,
        results,
    )
    rows = run_benchmark(asked, screen.line)
    write_page(out / "report.html", rows, out / "rows")
    screen.table(
        ["data set", "method", "seed", *(name.replace("_", " ") for name in _FIGURES), "95 %", "fit s", "ms", "MB"],
        [_cells(row) for row in rows],
    )
    mean, place = dict(means(rows, _FIGURES)), places(rows, out / "rows")
    screen.table(
        ["mean of", *(name.replace("_", " ") for name in _FIGURES), "place, 95 %"],
        [
            [method, *(number(values[name]) for name in _FIGURES), str(place.get(method, "-"))]
            for method, values in mean.items()
        ],
    )
    failed = [row for row in rows if row.status.startswith("failed")]
    for row in failed:
        screen.say(f"{row.dataset}, {row.method}, seed {row.seed}: {row.status}")
    screen.say(f"Report: {out / 'report.html'}")
    screen.result(
        {
            "rows": [asdict(row) for row in rows],
            "mean": mean,
            "places": {method: asdict(one) for method, one in place.items()},
        }
    )
    return 3 if failed else 0


def _cells(row: Row) -> list[str]:
    figures = [number(getattr(row, name)) for name in _FIGURES]
    sure = f"{number(row.image_auroc_low)}-{number(row.image_auroc_high)}"
    costs = [_whole(row.learned_seconds), _whole(row.median_ms), _whole(row.peak_mb)]
    return [row.dataset, row.method, str(row.seed), *figures, sure, *costs]


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
