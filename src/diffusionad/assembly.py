"""The one place where configuration becomes objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from diffusionad.config import Config
from diffusionad.detector import Detector
from diffusionad.diffusion import Schedule
from diffusionad.networks import Denoiser, Segmenter
from diffusionad.normality import Normality
from diffusionad.pairs import PairMaker
from diffusionad.rng import Stream, fixed_noise
from diffusionad.scoring import top_k_for
from diffusionad.structures import BoolMap, FloatMap, Image, Picture
from diffusionad.synthesis import RealDefect, Synthesizer, Textures

__all__ = ["TorchBackend", "build_detector", "build_pairs"]


def build_detector(config: Config) -> Detector:
    """Both networks with weights drawn from the seed, and the fixed noise of inference."""
    denoiser, segmenter, diffusion = config.denoiser, config.segmenter, config.diffusion
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Detector(
            Denoiser(
                channels=config.channels,
                width=denoiser.width,
                multipliers=denoiser.multipliers,
                blocks=denoiser.blocks,
                attention_levels=denoiser.attention_levels,
                heads=denoiser.heads,
                patch=denoiser.patch,
                embedding=denoiser.embedding,
                groups=denoiser.groups,
            ),
            Segmenter(
                inputs=config.channels * (3 if segmenter.difference else 2),
                widths=segmenter.widths,
                patch=segmenter.patch,
                norm=segmenter.norm,
            ),
            Schedule(diffusion.steps, diffusion.beta_start, diffusion.beta_end),
            prediction=diffusion.prediction,
            t_fine=diffusion.t_fine,
            t_coarse=diffusion.t_coarse,
            guidance_weight=diffusion.guidance_weight,
            noise=torch.from_numpy(fixed_noise(config.seed, config.channels, config.data.size)),
            difference=segmenter.difference,
            top_k=top_k_for(config.data.size, config.top_k),
            normality=_normality(config),
        )


def _normality(config: Config) -> Normality | None:
    widths = config.normality.widths
    return Normality(config.channels, config.data.size, widths, pooled=config.pooled) if widths else None


def build_pairs(
    config: Config,
    pictures: Sequence[Picture],
    foregrounds: Sequence[BoolMap | None],
    textures: Sequence[NDArray[np.uint8]],
    stream: Stream,
    judged: Sequence[BoolMap | None] | None = None,
    real: Sequence[RealDefect] = (),
) -> PairMaker:
    """The source of training ("pair") or held-out ("validation") batches; held-out pictures are not varied.

    Defects lie inside `judged`, [H, W] bool for each picture; None: everywhere. `real` defects only train.
    """
    synthesis, training, tiled = config.synthesis, stream == "pair", config.data.fit == "tile"
    return PairMaker(
        pictures,
        foregrounds,
        Synthesizer(Textures(textures), synthesis.kinds, synthesis.normal_share),
        seed=config.seed,
        anomalous_share=synthesis.anomalous_share if training else 0.5,
        shift=config.data.shift if training and not tiled else 0.0,  # tiles lie anywhere as it is
        light=config.data.light if training else 0.0,
        stream=stream,
        judged=judged,
        real=real if training else (),
        shown_share=synthesis.shown_share,
        pasted_share=synthesis.pasted_share,
        tile=config.data.size if tiled else None,
    )


class TorchBackend:
    """Runs both networks with torch on the CPU; `inspector.Backend`."""

    def __init__(self, config: Config, weights: Path) -> None:
        self._detector = build_detector(config).eval()
        self._detector.load_state_dict(load_file(weights))

    @torch.inference_mode()
    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        _, anomaly_map, reconstruction = self._detector(torch.from_numpy(image[None]))
        return anomaly_map[0].numpy(), reconstruction[0].numpy()
