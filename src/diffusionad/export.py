"""From the trained detector to one ONNX file: static shape, the fixed noise inside, no external data."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch

from diffusionad.detector import Detector
from diffusionad.files import write_file

__all__ = ["INPUT", "OPSET", "OUTPUTS", "to_onnx"]

OPSET = 18
INPUT = "image"
OUTPUTS = ("pred_score", "anomaly_map", "reconstruction")
"""Names shared with anomalib where both have the thing."""


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
