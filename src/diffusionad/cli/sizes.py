"""`diffusionad info --preset`: what a preset's networks take, without training them."""

from __future__ import annotations

from typing import Any

from diffusionad.cli.screen import Screen
from diffusionad.cli.train import import_training
from diffusionad.config import Config, resolve

__all__ = ["show_preset"]

PICTURES = 200
"""Training pictures for which epochs are translated into a time."""


def show_preset(screen: Screen, preset: str, settings: list[str]) -> None:
    """Parameters, arithmetic and memory of each network, the noise as sigma, and the time of a run on this machine."""
    config = resolve(preset, settings=settings)
    import_training()
    from diffusionad.reproduction import measure_sizes, time_a_step
    from diffusionad.reproduction.timing import duration

    sizes = measure_sizes(config)
    lines = [
        [s.name, f"{s.parameters:,}", f"{s.gmac:.3f}", f"{s.activation_bytes / 1e6:.1f}", str(s.passes)] for s in sizes
    ]
    height, width = config.data.size
    screen.say(f"Preset {preset} at {height} x {width}; figures of one pass over one image.")
    screen.table(["network", "parameters", "GMAC", "MB kept for training", "passes a picture"], lines)
    screen.say(f"A picture takes {sum(s.gmac * s.passes for s in sizes):.1f} GMAC.")
    noise = _noise(config)
    if noise:
        screen.say("Noise: " + ", ".join(f"{name} {step} (sigma {sigma:.2f})" for name, step, sigma in noise))
    step = time_a_step(config)
    run = _run_time(config, step.seconds_per_image)
    if step.seconds_per_image is None:
        screen.say(
            f"No step could be measured here: one image's step needs about {step.needed / 1e9:.1f} GB of memory, "
            f"{step.available / 1e9:.1f} GB are free."
        )
    else:
        screen.say(
            f"A training image takes {step.seconds_per_image:.3g} s here (measured, batch of {step.batch}). "
            f"A run: {run['images']:,} images seen in about {duration(run['seconds'])}{run['of']}."
        )
    screen.result(
        {
            "preset": preset,
            "size": [height, width],
            "networks": [
                {
                    "name": s.name,
                    "parameters": s.parameters,
                    "gmac": s.gmac,
                    "activation_bytes": s.activation_bytes,
                    "passes": s.passes,
                }
                for s in sizes
            ],
            "noise": [{"name": name, "step": at, "sigma": sigma} for name, at, sigma in noise],
            "seconds_per_training_image": step.seconds_per_image,
            "measured_batch": step.batch,
            "run": {"images": run["images"], "seconds": run["seconds"]},
            "config": config.model_dump(mode="json"),
        }
    )


def _run_time(config: Config, seconds_per_image: float | None) -> dict[str, Any]:
    """Images and seconds of a run, whichever of its limits comes first."""
    from diffusionad.training.runs import counted

    training = counted(config, PICTURES).training
    of = f" ({training.epochs} epochs of {PICTURES} pictures)" if training.epochs else ""
    if seconds_per_image is None:
        return {"images": training.images, "seconds": None, "of": of}
    ends = [limit for limit in (training.max_seconds, training.images and training.images * seconds_per_image) if limit]
    seconds = min(ends) if ends else 0.0
    return {"images": int(seconds / seconds_per_image), "seconds": seconds, "of": of}


def _noise(config: Config) -> list[tuple[str, int, float]]:
    """(name, step, sigma) of what inference disturbs with."""
    from diffusionad.diffusion import Schedule

    diffusion = config.diffusion
    if not config.networks.startswith("denoiser"):
        return []
    steps = {
        "norm-guided": [("fine", diffusion.t_fine), ("coarse", diffusion.t_coarse)],
        "averaged": [("t", step) for step in diffusion.t_averaged],
    }.get(diffusion.reconstruction, [("t", diffusion.t_fine)])
    schedule = Schedule(diffusion.steps, diffusion.beta_start, diffusion.beta_end, diffusion.schedule)
    return [(name, step, round(float(schedule.sigma(step)), 4)) for name, step in steps]
