"""The two networks of the paper, configurable from two CPU cores to the published size, and one of its ablation."""

from diffusionad.networks.autoencoder import Autoencoder
from diffusionad.networks.denoiser import Denoiser
from diffusionad.networks.segmenter import Segmenter

__all__ = ["Autoencoder", "Denoiser", "Segmenter"]
