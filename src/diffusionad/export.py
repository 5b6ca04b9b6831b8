"""From the trained detector to one ONNX file: static shape, the fixed noise inside, no external data."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch

from diffusionad.config import Config
from diffusionad.detector import Detector
from diffusionad.errors import UsageError
from diffusionad.files import write_file

__all__ = ["INPUT", "MOST_PASSES", "OPSET", "OUTPUTS", "check_passes", "to_onnx"]

OPSET = 18
INPUT = "image"
OUTPUTS = ("pred_score", "anomaly_map", "reconstruction")
"""Names shared with anomalib where both have the thing."""


MOST_PASSES = 64
"""Passes of the denoiser that one file may hold: an iterative reconstruction is unrolled into it."""


def check_passes(config: Config) -> None:
    """Refuse, before anything is trained, what could not become a file.

    Raises:
        UsageError: an iterative reconstruction of too many passes.
    """
    diffusion = config.diffusion
    if config.networks.startswith("denoiser") and diffusion.passes > MOST_PASSES:
        raise UsageError(
            f"diffusion.reconstruction={diffusion.reconstruction} would unroll {diffusion.passes} passes of the "
            f"denoiser into the ONNX file, which holds {MOST_PASSES} at most: set diffusion.stride="
            f"{-(-diffusion.t_fine // (MOST_PASSES - 1))} or more."
        )


def to_onnx(detector: Detector, path: Path) -> None:
    """Write the detector as ONNX: image [1, C, H, W] float32 in [-1, 1] -> `OUTPUTS` ([1], [1, H, W], [1, C, H, W]).

    Raises:
        ResourceError: the disk is full.
    """
    detector = detector.cpu().float().eval()
    example = torch.zeros(1, *detector.noise.shape[1:])
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            detector,
            (example,),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    exported = program
    write_file(path, lambda temporary: exported.save(str(temporary), external_data=False))
