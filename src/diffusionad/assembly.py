"""The one place where configuration becomes objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from diffusionad.config import Config
from diffusionad.detector import Detector, Restoring
from diffusionad.diffusion import NoiseField, Schedule, steps_down
from diffusionad.networks import Autoencoder, Denoiser, Segmenter
from diffusionad.normality import Normality
from diffusionad.pairs import PairMaker
from diffusionad.rng import Draw, Stream, fixed_noise, normal
from diffusionad.scoring import pixels_for
from diffusionad.structures import BoolMap, FloatMap, Image, Picture
from diffusionad.synthesis import RealDefect, Recipe, Synthesizer, Textures

__all__ = ["TorchBackend", "build_detector", "build_pairs", "detector_of"]


def build_detector(config: Config) -> Detector:
    """The networks with weights drawn from the seed, and the fixed noise of inference."""
    diffusion = config.diffusion
    top_k, least = pixels_for(config.data.size, config.score, config.top_k, config.percentile)
    noise = fixed_noise(
        config.seed, config.channels, config.network_size, count=_noises(config), make=_noise_maker(config)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        restorer, segmenter = _restorer(config), _segmenter(config)
        return Detector(
            restorer,
            segmenter,
            Schedule(diffusion.steps, diffusion.beta_start, diffusion.beta_end, diffusion.schedule),
            restoring=Restoring(
                diffusion.reconstruction,
                diffusion.prediction,
                diffusion.t_averaged,
                diffusion.stride,
                diffusion.sampler,
            ),
            t_fine=diffusion.t_fine,
            t_coarse=diffusion.t_coarse,
            guidance_weight=diffusion.guidance_weight,
            noise=torch.from_numpy(noise),
            difference=config.segmenter.difference,
            difference_map=config.difference_map,
            top_k=top_k,
            least=least,
            normality=_normality(config, segmenter),
            shrink=config.data.shrink,
            logarithmic=config.data.brightness == "logarithmic",
        )


def _restorer(config: Config) -> Denoiser | Autoencoder | None:
    """What makes the reconstruction; the autoencoder has the widths of the denoiser whose place it takes."""
    denoiser = config.denoiser
    if config.networks == "segmenter":
        return None
    if config.networks == "autoencoder+segmenter":
        widths = [denoiser.width * multiplier for multiplier in denoiser.multipliers]
        return Autoencoder(channels=config.channels, widths=widths, patch=denoiser.patch, groups=denoiser.groups)
    return Denoiser(
        channels=config.channels,
        width=denoiser.width,
        multipliers=denoiser.multipliers,
        blocks=denoiser.blocks,
        attention_levels=denoiser.attention_levels,
        heads=denoiser.heads,
        patch=denoiser.patch,
        embedding=denoiser.embedding,
        groups=denoiser.groups,
    )


def _segmenter(config: Config) -> Segmenter | None:
    segmenter = config.segmenter
    if config.networks == "denoiser":
        return None
    seen = 1 if config.networks == "segmenter" else 3 if segmenter.difference else 2
    return Segmenter(inputs=config.channels * seen, widths=segmenter.widths, patch=segmenter.patch, norm=segmenter.norm)


def _normality(config: Config, segmenter: Segmenter | None) -> Normality | None:
    data, widths = config.data, config.normality.widths
    if not widths:
        return None
    context = None
    if segmenter is not None:
        step = data.shrink * segmenter.coarseness
        context = (config.segmenter.widths[-1], (data.size[0] // step, data.size[1] // step))
    return Normality(config.channels, data.size, data.shrink, widths, context, pooled=config.pooled)


def _noises(config: Config) -> int:
    """How many noise images inference needs."""
    diffusion = config.diffusion
    if diffusion.reconstruction == "averaged":
        return max(2, len(diffusion.t_averaged))
    if diffusion.reconstruction == "iterative" and diffusion.sampler == "ddpm":
        return max(2, 1 + len(steps_down(diffusion.t_fine, diffusion.stride)))
    return 2


def _noise_maker(config: Config) -> Draw:
    """What draws the noise."""
    diffusion = config.diffusion
    if diffusion.noise == "gaussian":
        return normal
    return NoiseField(
        diffusion.noise, config.network_size, diffusion.octaves, diffusion.persistence, diffusion.noise_cells
    )


def build_pairs(
    config: Config,
    pictures: Sequence[Picture],
    foregrounds: Sequence[BoolMap | None],
    textures: Sequence[NDArray[np.uint8]],
    stream: Stream,
    judged: Sequence[BoolMap | None] | None = None,
    real: Sequence[RealDefect] = (),
) -> PairMaker:
    """The source of training ("pair") or held-out ("validation") batches, at the size of the networks; held-out
    pictures are not varied.

    Defects lie inside `judged`, [H, W] bool for each picture; None: everywhere. `real` defects only train.
    """
    synthesis, training, tiled = config.synthesis, stream == "pair", config.data.fit == "tile"
    return PairMaker(
        pictures,
        foregrounds,
        Synthesizer(
            Textures(textures, Recipe(synthesis.operations, synthesis.operation_count, synthesis.grid)),
            synthesis.kinds,
            synthesis.normal_share,
            rearranges_textures=synthesis.rearrange_textures,
        ),
        seed=config.seed,
        anomalous_share=synthesis.anomalous_share if training else 0.5,
        shift=config.data.shift if training and not tiled else 0.0,  # tiles lie anywhere as it is
        light=config.data.light if training else 0.0,
        stream=stream,
        judged=judged,
        real=real if training else (),
        shown_share=synthesis.shown_share,
        pasted_share=synthesis.pasted_share,
        draw=_noise_maker(config),
        tile=config.data.size if tiled else None,
        shrink=config.data.shrink,
        logarithmic=config.data.brightness == "logarithmic",
    )


def detector_of(config: Config, weights: Path) -> Detector:
    """The trained detector of a bundle, for inference."""
    detector = build_detector(config).eval()
    detector.load_state_dict(load_file(weights))
    return detector


class TorchBackend:
    """Runs both networks with torch on the CPU; `inspector.Backend`."""

    def __init__(self, config: Config, weights: Path) -> None:
        self.runtime = f"torch {torch.__version__}"
        self._detector = detector_of(config, weights)

    @torch.inference_mode()
    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        _, anomaly_map, reconstruction = self._detector(torch.from_numpy(image[None]))
        return anomaly_map[0].numpy(), reconstruction[0].numpy()
