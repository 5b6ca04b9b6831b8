"""How large the networks are: parameters, arithmetic and memory, worked out on tensors that hold nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from diffusionad.assembly import build_detector
from diffusionad.config import Config
from diffusionad.networks import Autoencoder

__all__ = ["NetworkSize", "measure_sizes"]


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """One network at the size at which it sees pictures.

    Attributes:
        name: denoiser, autoencoder or segmenter.
        parameters: how many.
        gmac: thousand million multiply-additions of one pass over one image.
        activation_bytes: what autograd keeps of one pass over one image for the way back, in fp32.
        passes: how often inference asks it for one picture.
    """

    name: str
    parameters: int
    gmac: float
    activation_bytes: int
    passes: int


def measure_sizes(config: Config) -> list[NetworkSize]:
    """The networks of a configuration. Nothing is computed, and no memory is taken for weights."""
    with torch.device("meta"):
        detector = build_detector(config)
        sizes, (height, width) = [], config.network_size
        image = torch.empty(1, config.channels, height, width)
        diffusion = config.diffusion
        if (restorer := detector.denoiser) is not None:
            plain = isinstance(restorer, Autoencoder)
            inputs = (image,) if plain else (image, torch.zeros(1))
            name, passes = ("autoencoder", 1) if plain else ("denoiser", diffusion.passes)
            sizes.append(_size(name, restorer, inputs, passes))
        if (segmenter := detector.segmenter) is not None:
            seen = 1 if detector.denoiser is None else 3 if detector.difference else 2
            averaged = detector.diffuses and diffusion.reconstruction == "averaged"
            shown = torch.empty(1, config.channels * seen, height, width)
            sizes.append(_size("segmenter", segmenter, (shown,), diffusion.passes if averaged else 1))
    return sizes


def _size(name: str, network: nn.Module, inputs: tuple[Tensor, ...], passes: int) -> NetworkSize:
    weights = {weight.untyped_storage()._cdata for weight in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in weights:
            kept[storage] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda held: held):
        output = network(*inputs)
    held = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del output
    parameters = sum(weight.numel() for weight in network.parameters())
    return NetworkSize(name, parameters, counter.get_total_flops() / 2e9, held, passes)
