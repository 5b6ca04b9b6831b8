"""The two networks of the paper, configurable from two CPU cores to the published size."""

from diffusionad.networks.denoiser import Denoiser
from diffusionad.networks.segmenter import Segmenter

__all__ = ["Denoiser", "Segmenter"]
