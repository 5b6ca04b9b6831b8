"""From the trained detector to one file, ONNX or a program of `torch.export`: static shape, the noise inside."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from diffusionad.config import Config
from diffusionad.detector import Detector
from diffusionad.errors import UsageError
from diffusionad.files import write_file
from diffusionad.structures import FloatMap, Image

__all__ = ["INPUT", "MOST_PASSES", "OPSET", "OUTPUTS", "ProgramBackend", "check_passes", "to_onnx", "to_program"]

OPSET = 18
INPUT = "image"
OUTPUTS = ("pred_score", "anomaly_map", "reconstruction")
"""Names shared with anomalib where both have the thing."""


MOST_PASSES = 64
"""Passes of the denoiser that one file may hold: an iterative reconstruction is unrolled into it."""


MOST_IMAGES = 1024
"""Images at once that a file for any batch promises to take."""


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


def to_onnx(detector: Detector, path: Path, *, any_batch: bool = False) -> None:
    """Write the detector as ONNX: image [1, C, H, W] float32 in [-1, 1] -> `OUTPUTS` ([1], [1, H, W], [1, C, H, W]).

    With `any_batch` it takes and gives `MOST_IMAGES` at once or fewer instead of 1. The size stays fixed: so are the
    noise and what is usual at each place.

    Raises:
        ResourceError: the disk is full.
    """
    detector, example = detector.cpu().float().eval(), _example(detector)
    if any_batch:
        example = example.repeat(2, 1, 1, 1)  # of one image torch would take the number for a constant
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
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=MOST_IMAGES)},) if any_batch else None,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    exported = program

    def fill(temporary: Path) -> None:
        exported.save(str(temporary), external_data=False)
        model = onnx.load(str(temporary))
        _name_parts(model)
        if detector.diffuses and detector.is_guided:
            _name_noise(model, detector.noise.numpy())
        onnx.save(model, str(temporary))

    write_file(path, fill)


def to_program(detector: Detector, path: Path) -> None:
    """Write the detector as a program of `torch.export` (.pt2), with the input and the outputs of `to_onnx`.

    Raises:
        ResourceError: the disk is full.
    """
    program, written = torch.export.export(detector.cpu().float().eval(), (_example(detector),)), io.BytesIO()
    torch.export.save(program, written)

    def fill(temporary: Path) -> None:
        temporary.write_bytes(written.getvalue())

    write_file(path, fill)


class ProgramBackend:
    """Runs what `to_program` wrote; `inspector.Backend`.

    Only for a file that this process has just written: torch reads parts of such files with pickle.
    """

    def __init__(self, path: Path) -> None:
        self.runtime = f"torch.export {torch.__version__}"
        self._module = torch.export.load(io.BytesIO(path.read_bytes())).module()

    @torch.no_grad()
    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        _, anomaly_map, reconstruction = self._module(torch.from_numpy(image[None]))
        return anomaly_map[0].numpy(), reconstruction[0].numpy()


def _example(detector: Detector) -> Tensor:
    """A black image of the working size, [1, C, H, W]."""
    channels, *seen = detector.noise.shape[1:]
    return torch.zeros(1, channels, *(side * detector.shrink for side in seen))


def _name_parts(model: onnx.ModelProto) -> None:
    """Begin the name of each node with the part it belongs to: denoiser/, segmenter/, normality/ or detector/.

    So whoever quantises the file can tell the networks from the arithmetic around them (`network_files`).
    """
    for node in model.graph.node:
        where = next((told.value for told in node.metadata_props if told.key == "namespace"), "")
        levels = [level.partition(":")[0] for level in where.split("/")]
        part = next((level for level in levels if level in ("denoiser", "segmenter", "normality")), "detector")
        node.name = f"{part}/{node.name}"


def _name_noise(model: onnx.ModelProto, noise: NDArray[np.float32]) -> None:
    """Give the constants that are a multiple of the noise names, and write the multiples into the metadata.

    So a runtime can put another draw of the noise in their place (`backends.OnnxBackend.with_draw`).
    """
    parts = {"noise": noise, "noise_fine": noise[0], "noise_coarse": noise[1]}
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        for name, part in parts.items():
            if values.size != part.size or values.dtype != np.float32:
                continue
            flat, known = values.ravel(), part.ravel()
            multiple = float(flat @ known / (known @ known))
            if not np.allclose(flat, multiple * known, rtol=1e-4, atol=1e-5):
                continue
            for node in model.graph.node:
                for index, used in enumerate(node.input):
                    if used == constant.name:
                        node.input[index] = name
            constant.name = name
            told = {"times": multiple, "shape": list(values.shape)}
            model.metadata_props.add(key=name, value=json.dumps(told))
