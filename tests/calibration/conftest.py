"""A bundle that needs no training: its network calls what is dark anomalous."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from safetensors.numpy import save_file

from diffusionad.bundle import Bundle, Origin, write_bundle
from diffusionad.calibration import Calibration
from diffusionad.config import resolve
from diffusionad.files import file_hash

SIDE = 32


def write_onnx(path: Path, slope: float = -0.5) -> Path:
    """anomaly_map = 0.5 + slope * mean of the channels; reconstruction = image."""
    shape = [1, 3, SIDE, SIDE]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["grey", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "half"], ["anomaly_map"]),
        helper.make_node("Identity", ["image"], ["reconstruction"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dark",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, [1, SIDE, SIDE]),
            helper.make_tensor_value_info("reconstruction", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor("slope", TensorProto.FLOAT, [], [slope]),
            helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def write_dark_bundle(folder: Path, trained: list[Path], calibration: Calibration | None = None) -> Bundle:
    """A whole bundle, which says that it was trained on the files given."""
    folder.mkdir(parents=True)
    network = write_onnx(folder / "made.onnx")
    save_file({"nothing": np.zeros(1, np.float32)}, folder / "made.safetensors")
    hashes = tuple(sorted(file_hash(path)[:16] for path in trained))
    origin = Origin("part", "part", len(trained), 1, "whole", 1, 1.0, "cpu", 1.0, 1.0, hashes)
    config = resolve("tiny", settings=[f"data.size=[{SIDE}, {SIDE}]"])
    return write_bundle(
        folder / "bundle",
        config=config,
        origin=origin,
        calibration=calibration,
        weights=folder / "made.safetensors",
        onnx=network,
    )


def write_parts(folder: Path, count: int, seed: int, *, dark: float = 0.0) -> list[Path]:
    """Grey pictures, each of another level; `dark` of 255 levels darker."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(seed), []
    for number in range(count):
        pixels = np.clip(rng.normal(180 - dark + rng.normal(0, 8), 3, (36, 36, 3)), 0, 255)
        paths.append(folder / f"{number:03d}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def dark_bundle(tmp_path: Path) -> Bundle:
    return write_dark_bundle(tmp_path / "run", write_parts(tmp_path / "trained", 3, 1))
