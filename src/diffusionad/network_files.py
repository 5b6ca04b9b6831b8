"""From the ONNX file to what another runtime or precision runs: files of OpenVINO, or int8 convolutions. No torch."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diffusionad.backends import openvino_at_home, openvino_core
from diffusionad.errors import ResourceError, UsageError
from diffusionad.structures import Image

__all__ = ["to_openvino", "to_quantised_onnx"]

PARTS = ("denoiser/", "segmenter/")
"""Beginnings of the names of nodes that may be quantised: the networks. Noise, blend and normality stay in fp32."""


def to_openvino(onnx: Path, folder: Path, images: Sequence[Image] | None = None) -> Path:
    """Write network.xml with network.bin beside it, and return the path of the XML.

    Args:
        onnx: the file it comes from.
        folder: where they are written.
        images: [C, H, W] in [-1, 1] of good training pictures: the convolutions of both networks compute in int8, in
            ranges that these show (post-training quantisation by NNCF). None: nothing is quantised.

    Raises:
        ResourceError: OpenVINO, or NNCF for int8, is not installed.
        UsageError: the file does not say which of its nodes are the networks.
    """
    with openvino_at_home() as openvino:
        model = openvino_core().read_model(onnx)
        if images is not None:
            names = [op.get_friendly_name() for op in model.get_ordered_ops()]
            model = _quantised(model, names, images, lambda image: image[None])
        path = folder / "network.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
    return path


def to_quantised_onnx(onnx: Path, folder: Path, images: Sequence[Image]) -> Path:
    """Write network.onnx, the same with int8 convolutions; arguments and errors as of `to_openvino`."""
    with openvino_at_home():  # NNCF would report its use too
        try:
            import onnx as format_of_onnx
        except ImportError:
            raise ResourceError('int8 needs NNCF: pip install "diffusionad[int8]".', code="extra.missing") from None
        model = format_of_onnx.load(str(onnx))
        names = [node.name for node in model.graph.node]
        path = folder / "network.onnx"
        format_of_onnx.save(_quantised(model, names, images, lambda image: {"image": image[None]}), str(path))
    return path


def _quantised(model: Any, names: Sequence[str], images: Sequence[Image], feed: Callable[[Image], Any]) -> Any:
    """A model of OpenVINO or ONNX with its networks' convolutions in int8; `names` are those of all its nodes."""
    try:
        import nncf
    except ImportError:
        raise ResourceError('int8 needs NNCF: pip install "diffusionad[int8]".', code="extra.missing") from None
    if not any(name.startswith(PARTS) for name in names):
        raise UsageError(
            "This bundle was written before its networks could be told from the rest of the file, and only they may be "
            "quantised: train it anew, or take --precision fp32 or bf16."
        )
    logging.getLogger("nncf").setLevel(logging.ERROR)
    kept = nncf.IgnoredScope(names=[name for name in names if not name.startswith(PARTS)], validate=False)
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            model,
            nncf.Dataset(images, feed),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            ignored_scope=kept,
        )
