"""The paper's ablations: which networks, which noise scales, which noise, one step or many.

A variant is a set of settings. What differs only at inference is measured on one trained run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from diffusionad.assembly import TorchBackend
from diffusionad.bundle import Bundle
from diffusionad.config import Config
from diffusionad.data import find_samples
from diffusionad.evaluation import evaluate
from diffusionad.inspector import Inspector
from diffusionad.reproduction.paper import read_table
from diffusionad.reproduction.rows import append_row, config_key, read_rows, row_of
from diffusionad.reproduction.runs import Asked, Place, chosen_places, images_per_second, resolve_asked, run_once
from diffusionad.reproduction.timing import estimate
from diffusionad.training.runs import TrainedRun
from diffusionad.training.watch import Line

__all__ = ["TRAININGS", "VARIANTS", "Variant", "ablate", "inspector_of", "run_folder"]

_PAPERS_MAP = ("normality.widths=[]", "data.shrink=1")
"""Segmenter or difference alone decide, as in the paper."""

_ONE_SCALE = ("diffusion.reconstruction=one-step", "diffusion.fine_range=[150, 438]")
"""One step drawn around those of inference: 191 and 331, the paper's 100 and 200 on [0, 1] images."""

TRAININGS: dict[str, tuple[str, ...]] = {
    "segmenter": ("networks=segmenter",),
    "autoencoder": ("networks=autoencoder+segmenter",),
    "denoiser": ("networks=denoiser", *_ONE_SCALE),
    "one-scale": _ONE_SCALE,
    "guided": (),
    "simplex": ("diffusion.noise=simplex",),
    "anoddpm": ("networks=denoiser", "diffusion.noise=simplex", *_ONE_SCALE),
}
"""Settings of each run that is trained, by name, on top of what is asked for."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of the ablation.

    Attributes:
        name: what it is called.
        training: the run it is measured on.
        settings: what is set anew for inference.
        paper: (table, row) of the paper that it stands beside; None where there is none.
    """

    name: str
    training: str
    settings: tuple[str, ...] = ()
    paper: tuple[str, str] | None = None


VARIANTS = (
    Variant("segmenter", "segmenter", paper=("ablation_networks", "segmenter")),
    Variant("autoencoder+segmenter", "autoencoder", paper=("ablation_networks", "autoencoder+segmenter")),
    Variant("denoiser, squared", "denoiser", paper=("ablation_networks", "denoiser")),
    Variant("denoiser, ssim", "denoiser", ("difference_map=ssim",), ("ablation_networks", "denoiser")),
    Variant("both, averaged", "one-scale", ("diffusion.reconstruction=averaged",), ("ablation_networks", "averaged")),
    Variant("both, t=191", "one-scale", ("diffusion.t_fine=191",), ("ablation_steps", "t=100")),
    Variant("both, t=331", "one-scale", (), ("ablation_steps", "t=200")),
    Variant("both, norm-guided", "guided"),
    Variant("both, norm-guided, w=0", "guided", ("diffusion.guidance_weight=0.0",)),
    Variant("both, norm-guided, simplex", "simplex"),
    Variant(
        "both, DDIM, 11 passes",
        "one-scale",
        ("diffusion.reconstruction=iterative", "diffusion.sampler=ddim", "diffusion.stride=33"),
    ),
    Variant("both, DDPM, 34 passes", "one-scale", ("diffusion.reconstruction=iterative", "diffusion.stride=10")),
    Variant(
        "AnoDDPM, 51 passes",
        "anoddpm",
        ("diffusion.reconstruction=iterative", "diffusion.t_fine=250", "diffusion.stride=5"),
    ),
    Variant("AnoDDPM, one step", "anoddpm", ("diffusion.t_fine=250",)),
)
"""In the order of the table. The paper's steps are those on [0, 1] images; AnoDDPM's 250 is on [-1, 1]."""


def ablate(asked: Asked, line: Line, only: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Measure every variant on every category and seed, append to RESULTS/ablation.csv, and return these rows.

    Args:
        asked: what is to be measured.
        line: shows progress.
        only: names of `TRAININGS`; none: all.

    Raises:
        what `train`, `evaluate`, `chosen_places` and `read_rows` raise.
    """
    path, places = asked.results / "ablation.csv", chosen_places(asked)
    variants = [variant for variant in VARIANTS if not only or variant.training in only]
    keys = {variant.name: config_key(_config(asked, variant, 0)) for variant in variants}
    data = asked.root.resolve().name

    def done() -> set[tuple[str, ...]]:
        return {(r["category"], r["seed"], r["variant"], r["config"]) for r in read_rows(path) if r["dataset"] == data}

    there = done()
    missing = [
        (place, seed, training, rows)
        for seed in range(asked.seeds)
        for place in places
        for training in TRAININGS
        if (
            rows := [
                v
                for v in variants
                if v.training == training and (place.category, str(seed), v.name, keys[v.name]) not in there
            ]
        )
    ]
    line(
        f"{len(variants)} variants, {len(places)} categories, {asked.seeds} seeds: {len(missing)} runs to train.", False
    )
    if missing:
        estimate([_trained(asked, training, seed) for _, seed, training, _ in missing], asked.device, line)
    for number, (place, seed, training, rows) in enumerate(missing, 1):
        line(f"Run {number} of {len(missing)}: {place.category}, seed {seed}, {training}.", False)
        run = run_once(asked, place, run_folder(asked, place, training, seed), seed, _more(asked, training), line)
        for variant in rows:
            line(f"  {variant.name}", False)
            append_row(path, _measured(asked, place, variant, seed, run, line))
    wanted = {(variant.name, keys[variant.name]) for variant in variants}
    names = {place.category for place in places}
    return [
        row
        for row in read_rows(path)
        if row["dataset"] == data and row["category"] in names and (row["variant"], row["config"]) in wanted
    ]


def _more(asked: Asked, training: str) -> tuple[str, ...]:
    """The settings of a training on top of what is asked for; pictures have the size at which the networks see."""
    height, width = resolve_asked(asked, 0).network_size
    return (*_PAPERS_MAP, f"data.size=[{height}, {width}]", *TRAININGS[training])


def _trained(asked: Asked, training: str, seed: int) -> Config:
    return resolve_asked(asked, seed, _more(asked, training))


def run_folder(asked: Asked, place: Place, training: str, seed: int) -> Path:
    """Where a run of `TRAININGS` is kept; the settings are part of its name."""
    key = config_key(_trained(asked, training, 0))
    return asked.runs / "ablation" / place.category / f"{training}-{key}-seed{seed}"


def inspector_of(asked: Asked, variant: Variant, seed: int, trained: Bundle) -> Inspector:
    """A variant on the weights of its run, with torch, so that it need not be exported; without a threshold."""
    config = _config(asked, variant, seed)
    return Inspector(replace(trained, config=config, calibration=None), TorchBackend(config, trained.weights))


def _config(asked: Asked, variant: Variant, seed: int) -> Config:
    return resolve_asked(asked, seed, (*_more(asked, variant.training), *variant.settings))


def _measured(asked: Asked, place: Place, variant: Variant, seed: int, run: TrainedRun, line: Line) -> dict[str, str]:
    inspector = inspector_of(asked, variant, seed, run.bundle)
    bundle, config = inspector.bundle, inspector.bundle.config
    samples = find_samples(asked.root, place.layout, place.category)
    out = run.folder / "variants" / variant.name.replace(" ", "_").replace(",", "")
    measured = evaluate(inspector, samples, out, data=f"{place.category}, {variant.name}", line=line)
    paper: dict[str, float | None] = {}
    if variant.paper is not None:
        row = read_table(variant.paper[0]).rows[variant.paper[1]]
        paper = {figure: round(float(row[figure]) / 100, 5) for figure in ("image_auroc", "aupro")}
    return row_of(
        dataset=asked.root.resolve().name,
        category=place.category,
        config=config,
        bundle=bundle,
        measured=measured,
        images_per_second=images_per_second(inspector),
        paper=paper,
        variant=variant.name,
    )
