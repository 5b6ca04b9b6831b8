"""The diffusion process: disturb, denoise in one step, guide."""

from diffusionad.diffusion.reconstruct import Reconstruction, estimate, norm_guided, reconstruct
from diffusionad.diffusion.schedule import Schedule, per_sample

__all__ = ["Reconstruction", "Schedule", "estimate", "norm_guided", "per_sample", "reconstruct"]
