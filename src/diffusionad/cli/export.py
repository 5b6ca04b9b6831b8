"""`diffusionad export`: the same model for another runtime or precision, checked and calibrated as it will run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.artifact import Precision, Target
from diffusionad.bundle import load_bundle
from diffusionad.choosing import runtime_within
from diffusionad.cli.screen import Screen, milliseconds
from diffusionad.data import find_samples
from diffusionad.deployment import GUARD, export_bundle, range_images
from diffusionad.errors import UsageError

__all__ = ["export"]


def export(
    bundle: Path,
    data: Path,
    *,
    out: Path,
    to: Target = "openvino",
    precision: Precision = "fp32",
    budget: str | None = None,
    guard: float = GUARD,
    any_batch: Annotated[bool, Parameter(negative=())] = False,
    category: str | None = None,
    layout: str = "auto",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Export a bundle to another runtime or precision; the result is a bundle too, with a threshold of its own.

    The new networks judge the good pictures of DATA that never trained the bundle, as they are and with a synthetic
    defect each, beside the old ones. Exit code 1: a verdict changed beyond the guard, nothing was exported.

    Example: diffusionad export runs/part/bundle ./good --out runs/part/int8 --to openvino --precision int8

    Args:
        bundle: Folder of the bundle.
        data: The data set it was trained on, or new good pictures; test pictures are never taken.
        out: Folder of the exported bundle.
        to: onnx, openvino, or torch-export: a program for your own torch, which predict does not open.
        precision: fp32, bf16 (openvino, where the processor has it) or int8 (onnx, openvino; convolutions only).
        budget: Instead of --to and --precision: the most exact of them whose networks take at most this here, such as
            25ms; it says what it measured.
        guard: Another verdict is refused when the old score is further than this from the old threshold.
        any_batch: For onnx in fp32: the file takes any number of images at once, for programs of your own.
        category: Which one, where a data set has several.
        layout: auto, or a name that `diffusionad datasets` lists.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    if not 0 <= guard <= 1:
        raise UsageError(f"A guard is a score from 0 to 1; it is {guard}.")
    good = [sample for sample in find_samples(data, layout, category) if sample.is_good]
    samples = [sample for sample in good if sample.split != "test"] or good
    if budget is not None:
        plain = load_bundle(bundle)
        to, precision, measured = runtime_within(plain, milliseconds(budget), range_images(plain, samples), screen.line)
        screen.say(measured.sentence())
    exported = export_bundle(bundle, samples, out, to, precision, guard=guard, any_batch=any_batch, line=screen.line)
    artifact, calibration = exported.artifact, exported.bundle.calibration
    for sentence in exported.unjudged:
        screen.say(f"left out: {sentence}")
    if artifact.parity:
        screen.say(artifact.parity.sentence())
    if calibration:
        screen.say(f"Threshold {calibration.threshold:.4f}. {calibration.sentence()}")
    if artifact.runtime == "torch-export":
        screen.say(f"For a program of your own: torch.export.load({str(exported.bundle.network)!r}).module()")
    else:
        screen.say(f"Judges with {artifact.made_on.runtime}: diffusionad predict {out} PICTURES --out verdicts")
    screen.result(
        {
            "bundle": str(out),
            "key": exported.bundle.key,
            "artifact": asdict(artifact),
            "threshold": calibration.threshold if calibration else None,
            "unjudged": list(exported.unjudged),
        }
    )
    return 3 if exported.unjudged else 0
