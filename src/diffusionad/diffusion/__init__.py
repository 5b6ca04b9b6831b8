"""The diffusion process: disturb, denoise in one step or many, guide."""

from diffusionad.diffusion.iterate import Sampler, iterate, step_back, steps_down
from diffusionad.diffusion.noise import NoiseField
from diffusionad.diffusion.reconstruct import (
    Prediction,
    Reconstruction,
    estimate,
    norm_guided,
    one_step,
    reconstruct,
)
from diffusionad.diffusion.schedule import Schedule, per_sample

__all__ = [
    "NoiseField",
    "Prediction",
    "Reconstruction",
    "Sampler",
    "Schedule",
    "estimate",
    "iterate",
    "norm_guided",
    "one_step",
    "per_sample",
    "reconstruct",
    "step_back",
    "steps_down",
]
