"""`diffusionad reproduce`: the paper's tables beside what is measured here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from diffusionad.cli.screen import Screen, seconds
from diffusionad.cli.train import import_training
from diffusionad.errors import UsageError

__all__ = ["reproduce"]

Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]
Rows = list[dict[str, str]]

NOT_RUN = "not run"
_MEASURED = (
    ("image_auroc", "image AUROC"),
    ("aupro", "AUPRO"),
    ("pixel_auroc", "pixel AUROC"),
    ("pixel_ap", "pixel AP"),
)


def reproduce(
    what: Literal["mvtec", "visa", "dagm", "mpdd", "ablation"],
    /,
    *,
    root: Path,
    categories: Words = None,
    seeds: int = 3,
    preset: str | None = None,
    max_time: str | None = None,
    images: int | None = None,
    textures: Path | None = None,
    layout: str = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    only: Words = None,
    strips: Path | None = None,
    results: Path = Path("results"),
    runs: Path = Path("runs/reproduce"),
    full: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train and evaluate every category with every seed, and print the paper's table beside it. Run again to resume.

    Example: diffusionad reproduce mvtec --root ./mvtec --preset small --max-time 10m --seeds 1

    Args:
        what: The benchmark, or ablation: sub-networks, noise scales, noise, one step or many.
        root: Its folder, in a known layout.
        categories: Only these.
        seeds: How many: 0, 1, 2 ...
        preset: Without it, journal; for ablation small.
        max_time: How long to train each run: 20m, 90s, 1h30m. Without it, what the preset says.
        images: See that many images in each run instead: repeatable to the bit.
        textures: Folder of texture pictures for synthetic defects; without it textures are drawn.
        layout: auto, or a name that `diffusionad datasets` lists.
        device: Where to train.
        settings: section.key=value, any number of times.
        only: Ablation: only these trained runs and what is measured on them.
        strips: Ablation: afterwards write pictures, reconstructions and maps of every finished run to this folder.
        results: Folder of the CSV files; a row is added when it is measured, none is ever removed.
        runs: Folder of the training runs.
        full: Print all columns of the paper's tables too.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    import_training()
    from diffusionad import reproduction
    from diffusionad.reproduction.ablation import TRAININGS

    if unknown := [name for name in only or () if name not in TRAININGS]:
        raise UsageError(
            f"There is no run {', '.join(unknown)} in the ablation; the known ones are {', '.join(TRAININGS)}."
        )
    if what != "ablation" and (only or strips):
        raise UsageError(f"--only and --strips are about the runs of the ablation; {what} has none of them.")
    asked = reproduction.Asked(
        root=root,
        results=results,
        runs=runs,
        categories=tuple(categories or ()),
        seeds=seeds,
        preset=preset or ("small" if what == "ablation" else "journal"),
        max_time=seconds(max_time) if max_time else None,
        images=images,
        settings=tuple(settings or ()),
        textures=textures,
        device=device,
        layout=layout,
    )
    if what == "ablation":
        rows = reproduction.ablate(asked, screen.line, tuple(only or ()))
        _show_ablation(screen, rows, full)
        if strips:
            reproduction.write_strips(asked, strips, screen.line)
    else:
        rows = reproduction.reproduce(what, asked, screen.line)
        _show_benchmark(screen, what, rows, full)
    screen.result({"rows": rows})
    return 0


def _show_benchmark(screen: Screen, dataset: str, rows: Rows, full: bool) -> None:
    from diffusionad.reproduction.paper import categories_of, reported

    names = list(categories_of(dataset))
    names += sorted({row["category"] for row in rows} - set(names))
    lines = []
    for name in [*names, "average"]:
        of_name = [row for row in rows if row["category"] == name]
        line = [name]
        for figure, _ in _MEASURED:
            if figure in ("image_auroc", "aupro"):
                line.append(_percent(reported(dataset, name, figure)))
            line.append(_over_categories(rows, names, figure) if name == "average" else _spread(of_name, figure))
        lines.append([*line, str(len(of_name)) if name != "average" else ""])
    heading = ["category"]
    for figure, title in _MEASURED:
        heading += [f"{title}: v1", "ours"] if figure in ("image_auroc", "aupro") else [title]
    screen.table([*heading, "seeds"], lines)
    screen.say(
        "\nPercent; mean ± standard deviation over the seeds. v1 is arXiv:2303.08730v1; - is what it does not report. "
        "The journal version's tables are not at hand."
    )
    if full:
        _show_tables(screen, [name for name in ("visa_image_auroc", "visa_pro", "dagm_image_auroc") if dataset in name])


def _show_ablation(screen: Screen, rows: Rows, full: bool) -> None:
    from diffusionad.reproduction.ablation import VARIANTS

    categories = sorted({row["category"] for row in rows})
    for category in categories or [NOT_RUN]:
        screen.say(f"{category}:")
        lines = []
        for variant in VARIANTS:
            here = [row for row in rows if (row["category"], row["variant"]) == (category, variant.name)]
            measured = [_spread(here, figure) for figure, _ in _MEASURED]
            speed = f"{fmean(float(row['images_per_second']) for row in here):.1f}" if here else NOT_RUN
            lines.append([variant.name, *measured, speed, _papers(variant.paper), str(len(here))])
        titles = [title for _, title in _MEASURED]
        screen.table(["variant", *titles, "images/s", "v1: image AUROC, PRO, images/s", "seeds"], lines)
    screen.say("\nPercent; mean ± standard deviation over the seeds. v1's figures are means over VisA.")
    if full:
        _show_tables(screen, ["ablation_networks", "ablation_steps"])


def _papers(place: tuple[str, str] | None) -> str:
    from diffusionad.reproduction.paper import read_table

    if place is None:
        return "-"
    row = read_table(place[0]).rows[place[1]]
    return ", ".join(row[name] for name in ("image_auroc", "aupro", "images_per_second"))


def _show_tables(screen: Screen, names: Sequence[str]) -> None:
    from diffusionad.reproduction.paper import read_table

    for name in names:
        table = read_table(name)
        screen.say(f"\n{table.source}")
        lines = [[row, *(values[column] for column in table.columns)] for row, values in table.rows.items()]
        screen.table(["", *table.columns], lines)


def _values(rows: Rows, figure: str) -> list[float]:
    return [float(row[figure]) for row in rows if row[figure]]


def _spread(rows: Rows, figure: str) -> str:
    """Mean ± standard deviation, in percent; of one seed the figure alone."""
    values = _values(rows, figure)
    if not rows:
        return NOT_RUN
    if not values:
        return "-"
    shown = _percent(fmean(values))
    return f"{shown} ± {100 * stdev(values):.1f}" if len(values) > 1 else shown


def _over_categories(rows: Rows, names: Sequence[str], figure: str) -> str:
    """The mean over all categories, each the mean of its seeds: a mean over some of them would tell something else."""
    of: Callable[[str], Any] = lambda name: _values([row for row in rows if row["category"] == name], figure)  # noqa: E731
    each = [of(name) for name in names]
    return _percent(fmean(fmean(values) for values in each)) if all(each) else NOT_RUN


def _percent(value: float | None) -> str:
    """Percent with one decimal, cut so that 100.0 means perfect."""
    return "-" if value is None else f"{int(value * 1000 + 1e-6) / 10:.1f}"
