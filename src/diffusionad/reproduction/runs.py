"""Train and evaluate every category for every seed; what is already measured is not run again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffusionad.config import Config
from diffusionad.data import find_samples, recognise
from diffusionad.errors import UsageError
from diffusionad.evaluation import evaluate
from diffusionad.inspector import Inspector
from diffusionad.reproduction.paper import reported
from diffusionad.reproduction.rows import append_row, config_key, read_rows, row_of
from diffusionad.reproduction.timing import estimate
from diffusionad.training import train
from diffusionad.training.runs import TrainedRun, counted, resolve_run
from diffusionad.training.watch import Line

__all__ = ["Asked", "Place", "chosen_places", "images_per_second", "reproduce", "resolve_asked", "run_once"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured.

    Attributes:
        root: the data set, in a known layout.
        results: folder of the CSV files.
        runs: folder of the training runs; a run already there is resumed.
        categories: which; none: all that `root` holds.
        seeds: 0 .. seeds - 1.
        preset, max_time, images, settings, textures, device, layout: as `train`.
    """

    root: Path
    results: Path
    runs: Path
    categories: tuple[str, ...] = ()
    seeds: int = 3
    preset: str | None = None
    max_time: float | None = None
    images: int | None = None
    settings: tuple[str, ...] = ()
    textures: Path | None = None
    device: str = "auto"
    layout: str = "auto"


@dataclass(frozen=True, slots=True)
class Place:
    """One category of a data set, and how its layout is called."""

    category: str
    layout: str


def resolve_asked(asked: Asked, seed: int, more: Sequence[str] = ()) -> Config:
    """The configuration of one run; `more` settings come last. Raises UsageError."""
    return resolve_run(asked.preset, asked.max_time, asked.images, seed, None, (*asked.settings, *more), None)


def chosen_places(asked: Asked) -> list[Place]:
    """The categories to run, each with test pictures that can be measured on.

    Raises:
        DataError, UsageError: as `recognise`; an unknown category, or fewer than one seed.
    """
    if asked.seeds < 1:
        raise UsageError(f"--seeds {asked.seeds}: at least one seed is needed.")
    reading = recognise(asked.root, asked.layout)
    unknown = [name for name in asked.categories if name not in reading.categories]
    if unknown:
        raise UsageError(
            f"There is no category {', '.join(map(repr, unknown))} in {str(asked.root)!r}; the known ones are "
            f"{', '.join(reading.categories)}."
        )
    places = [Place(name, reading.layout) for name in asked.categories or reading.categories]
    for place in places:
        samples = find_samples(asked.root, place.layout, place.category)
        tested = {sample.is_good for sample in samples if sample.split == "test"}
        if tested != {True, False}:
            raise UsageError(
                f"The category {place.category!r} in {str(asked.root)!r} has no test pictures both good and defective: "
                "leave it out with --categories, or bring them."
            )
    return places


def reproduce(dataset: str, asked: Asked, line: Line) -> list[dict[str, str]]:
    """Measure what is not measured yet, append it to RESULTS/`dataset`.csv, and return all rows of these settings.

    Raises:
        what `train`, `evaluate`, `chosen_places` and `read_rows` raise.
    """
    path, places = asked.results / f"{dataset}.csv", chosen_places(asked)
    key = config_key(resolve_asked(asked, 0))
    done = {(row["category"], row["seed"]) for row in read_rows(path) if row["config"] == key}
    missing = [(p, seed) for seed in range(asked.seeds) for p in places if (p.category, str(seed)) not in done]
    line(f"{len(places)} categories, {asked.seeds} seeds: {len(missing)} runs are missing in {path}.", False)
    if missing:
        pictures = {p.category: _trained_on(asked, p) for p in places}
        estimate([counted(resolve_asked(asked, seed), pictures[p.category]) for p, seed in missing], asked.device, line)
    for number, (place, seed) in enumerate(missing, 1):
        line(f"Run {number} of {len(missing)}: {place.category}, seed {seed}.", False)
        config = resolve_asked(asked, seed)
        folder = asked.runs / dataset / place.category / f"{key}-seed{seed}"
        inspector = Inspector.load(run_once(asked, place, folder, seed, (), line).bundle.folder)
        append_row(path, _measured(dataset, asked, place, folder, config, inspector, line))
    return [row for row in read_rows(path) if row["config"] == key]


def run_once(asked: Asked, place: Place, folder: Path, seed: int, more: Sequence[str], line: Line) -> TrainedRun:
    """Train one category with one seed into `folder`, or finish what was begun there."""
    return train(
        asked.root,
        folder,
        preset=asked.preset,
        max_time=asked.max_time,
        images=asked.images,
        category=place.category,
        layout=place.layout,
        textures=asked.textures,
        seed=seed,
        device=asked.device,
        settings=(*asked.settings, *more),
        line=line,
    )


def images_per_second(inspector: Inspector, most: int = 20, patience: float = 5.0) -> float:
    """Pictures through the networks in a second, one at a time: the median of a few, the first left out."""
    config, taken, begun = inspector.bundle.config, [], time.perf_counter()
    size = config.data.size
    picture = np.random.default_rng(0).integers(0, 256, (*size, config.channels), dtype=np.uint8)
    view = inspector.view(size)
    for _ in range(most + 1):
        started = time.perf_counter()
        inspector.outcome_of(picture, view)
        taken.append(time.perf_counter() - started)
        if len(taken) > 2 and time.perf_counter() - begun > patience:
            break
    return 1 / float(np.median(taken[1:]))


def _measured(
    dataset: str, asked: Asked, place: Place, folder: Path, config: Config, inspector: Inspector, line: Line
) -> dict[str, str]:
    samples = find_samples(asked.root, place.layout, place.category)
    measured = evaluate(inspector, samples, folder / "evaluation", data=f"{dataset} {place.category}", line=line)
    return row_of(
        dataset=dataset,
        category=place.category,
        config=config,
        bundle=inspector.bundle,
        measured=measured,
        images_per_second=images_per_second(inspector),
        paper={figure: reported(dataset, place.category, figure) for figure in ("image_auroc", "aupro")},
    )


def _trained_on(asked: Asked, place: Place) -> int:
    """How many pictures of a category train, about: those held back are left out."""
    samples = find_samples(asked.root, place.layout, place.category)
    good = sum(sample.split == "train" and sample.is_good for sample in samples)
    data = resolve_asked(asked, 0).data
    return max(1, round(good * (1 - data.calibration_share) - min(16, good * data.validation_share)))
