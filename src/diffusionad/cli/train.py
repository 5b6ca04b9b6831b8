"""`diffusionad train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from diffusionad.cli.screen import Screen, number, seconds
from diffusionad.errors import ResourceError

__all__ = ["import_training", "train"]


def train(
    data: Path,
    *,
    out: Path,
    preset: str | None = None,
    max_time: str | None = None,
    images: int | None = None,
    category: str | None = None,
    layout: str = "auto",
    textures: Path | None = None,
    foreground: str | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    config: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train on a folder of good pictures and write a calibrated bundle. Run it again on the same OUT to resume.

    Example: diffusionad train ./good --out runs/part --max-time 20m

    Args:
        data: Folder of good pictures, or a data set in a known layout.
        out: Folder of the run; the bundle will be OUT/bundle.
        preset: tiny, small, base or journal; without it, what CONFIG says, else small.
        max_time: How long to train: 20m, 90s, 1h30m. Without it, what the preset says.
        images: See that many images instead of training for a time: repeatable to the bit.
        category: Which one, where a data set has several.
        layout: auto, folder or mvtec.
        textures: Folder of texture pictures for synthetic defects; without it textures are drawn.
        foreground: auto, whole, or a folder of masks that say where the object is.
        seed: Decides every draw; without it, what CONFIG says, else 0.
        device: Where to compute.
        devices: Processes on each node.
        num_nodes: Nodes.
        settings: section.key=value, any number of times; see the file config.json of a run for all of them.
        config: TOML file with settings.
        dry_run: Read everything, say what would be done, and stop.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    training = import_training()
    asked: dict[str, Any] = {
        "preset": preset,
        "max_time": seconds(max_time) if max_time else None,
        "images": images,
        "seed": seed,
        "foreground": foreground,
        "settings": settings or [],
        "config_file": config,
    }
    if dry_run:
        plan = training.plan(data, category=category, layout=layout, **asked)
        for name, value in plan.items():
            screen.say(f"  {name}: {value}")
        screen.result(plan)
        return 0
    run = training.train(
        data,
        out,
        category=category,
        layout=layout,
        textures=textures,
        device=device,
        devices=devices,
        num_nodes=num_nodes,
        line=screen.line,
        **asked,
    )
    if os.environ.get("LOCAL_RANK", "0") != "0":  # another process of the same run speaks
        return 0
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
    screen.result(
        {
            "bundle": str(run.bundle.folder),
            "images": run.images,
            "seconds": round(run.seconds, 1),
            "held_out": {"image_auroc": run.score.image_auroc, "pixel_ap": run.score.pixel_ap},
            "threshold": calibration.threshold if calibration else None,
            "promise": calibration.sentence() if calibration else None,
            "warnings": list(run.warnings),
        }
    )
    return 3 if run.unreadable else 0


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
