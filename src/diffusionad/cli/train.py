"""`diffusionad train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from diffusionad.cli.categories import is_all, read_layout, show_categories
from diffusionad.cli.screen import Screen, milliseconds, number, seconds
from diffusionad.errors import ResourceError, UsageError

__all__ = ["import_training", "train"]


def train(
    data: Path,
    *,
    out: Path,
    preset: str | None = None,
    budget: str | None = None,
    max_time: str | None = None,
    images: int | None = None,
    category: str | None = None,
    layout: str = "auto",
    textures: Path | None = None,
    foreground: str | None = None,
    roi: Path | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    config: Path | None = None,
    defects: Path | None = None,
    cache: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train on a folder of good pictures and write a calibrated bundle. Run it again on the same OUT to resume.

    Example: diffusionad train ./good --out runs/part --max-time 20m

    Args:
        data: Folder of good pictures, a data set in a known layout, or a manifest.
        out: Folder of the run; the bundle will be OUT/bundle; with --category all, OUT/CATEGORY/bundle.
        preset: tiny, small, base, journal or paper-v1; without it, what CONFIG says, else small.
        budget: Instead of a preset: the larger of small and tiny whose networks take at most this for a picture
            on this machine, such as 25ms.
        max_time: How long to train: 20m, 90s, 1h30m. Without it, what the preset says.
        images: See that many images instead of training for a time: repeatable to the bit.
        category: Which one, where a data set has several; all: one after the other, each for MAX_TIME.
        layout: auto, or a name that `diffusionad datasets` lists.
        textures: Folder of texture pictures for synthetic defects; without it textures are drawn.
        foreground: Where the object is: auto, statistics, grabcut, "model FILE.onnx", whole, texture, or a folder of
            masks.
        roi: Region of interest, a mask or polygons in JSON; outside nothing is judged. It is kept in the bundle.
        seed: Decides every draw; without it, what CONFIG says, else 0.
        device: Where to compute.
        devices: Processes on each node.
        num_nodes: Nodes.
        settings: section.key=value, any number of times; see the file config.json of a run for all of them.
        config: TOML file with settings.
        defects: Folder of a few real defective pictures, flat or by kind, with masks or without: they train too.
        cache: Folder for decoded pictures, which other runs may share; without it memory, or OUT/cache for large sets.
        dry_run: Read everything, say what would be done, and stop.
        json: Print one JSON object instead of text.
    """
    first = os.environ.get("LOCAL_RANK", "0") == "0"  # of several processes of one run, one speaks
    screen = Screen(as_json=json or not first)
    training = import_training()
    if budget is not None:
        if preset is not None or devices * num_nodes > 1:
            raise UsageError("--budget chooses the preset, on the machine of one process: leave --preset out.")
        from diffusionad.choosing import preset_within

        measured = preset_within(milliseconds(budget), settings or [], screen.line)
        preset = measured.chosen
        screen.line(measured.sentence())
    reading = read_layout(screen, data, layout)
    whole = is_all(category, reading)
    if whole and devices * num_nodes > 1:
        raise UsageError("--category all trains in one process; give one --category to train in several.")
    if whole and defects is not None:
        raise UsageError("--defects is for one product: give one --category.")
    places = {name: out / name for name in reading.categories} if whole else {category: out}
    asked: dict[str, Any] = {
        "preset": preset,
        "max_time": seconds(max_time) if max_time else None,
        "images": images,
        "seed": seed,
        "foreground": foreground,
        "roi": roi,
        "settings": settings or [],
        "config_file": config,
        "defects": defects,
        "layout": reading.layout,
    }
    if dry_run:
        plans = {name: training.plan(data, category=name, **asked) for name in places}
        for name, plan in plans.items():
            for key, value in {**({"category": name} if whole else {}), **plan}.items():
                screen.say(f"  {key}: {value}")
        screen.result({"categories": plans} if whole else plans[category])
        return 0
    asked |= {"textures": textures, "device": device, "devices": devices, "num_nodes": num_nodes, "line": screen.line}
    asked |= {"cache": cache}
    runs = {}
    for name, folder in places.items():
        if whole:
            screen.line(f"Category {name!r}.")
        runs[name or ""] = training.train(data, folder, category=name, **asked)
    if not first:
        return 0
    if whole:
        _show_all(screen, runs, out)
    else:
        _show(screen, next(iter(runs.values())), out)
    return 3 if any(run.unreadable for run in runs.values()) else 0


def _show(screen: Screen, run: Any, out: Path) -> None:
    """What a finished run (`training.TrainedRun`) leaves."""
    for warning in run.warnings:
        screen.say(f"warning: {warning}")
    calibration = run.bundle.calibration
    screen.say(f"{run.images} images seen in {run.seconds / 60:.1f} minutes.")
    screen.say(
        f"Held-out good pictures with planted defects: image AUROC {number(run.score.image_auroc)}, "
        f"pixel AP {number(run.score.pixel_ap)}. Real defects may be harder."
    )
    screen.say(calibration.sentence() if calibration else "Not calibrated.")
    screen.say(f"\nNext: diffusionad predict {run.bundle.folder} PICTURES --out {out}/verdicts")
    screen.result(_summary(run))


def _show_all(screen: Screen, runs: dict[str, Any], out: Path) -> None:
    for name, run in runs.items():
        for warning in run.warnings:
            screen.say(f"warning: {name}: {warning}")
    screen.say("Held-out good pictures with planted defects. Real defects may be harder.")
    summaries = {name: _summary(run) for name, run in runs.items()}
    figures = {name: summary["held_out"] for name, summary in summaries.items()}
    mean = show_categories(screen, ("image_auroc", "pixel_ap"), figures)
    screen.say(f"\nNext: diffusionad evaluate {out} DATA --category all --out {out}/evaluation")
    screen.result({"categories": summaries, "mean": mean})


def _summary(run: Any) -> dict[str, Any]:
    calibration = run.bundle.calibration
    return {
        "bundle": str(run.bundle.folder),
        "images": run.images,
        "seconds": round(run.seconds, 1),
        "held_out": {"image_auroc": run.score.image_auroc, "pixel_ap": run.score.pixel_ap},
        "threshold": calibration.threshold if calibration else None,
        "promise": calibration.sentence() if calibration else None,
        "warnings": list(run.warnings),
    }


def import_training() -> Any:
    """The training package.

    Raises:
        ResourceError: torch is not installed.
    """
    try:
        import diffusionad.training as training
    except ImportError as error:
        raise ResourceError(
            f'Training needs the extra "train" ({error.name} is missing): pip install "diffusionad[train]".',
            code="extra.missing",
        ) from None
    return training
