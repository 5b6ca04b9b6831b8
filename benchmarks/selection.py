"""Which signal from good pictures alone ranks settings as real defects do: python benchmarks/selection.py RUN=DATA ...

A setting is how the witnesses are weighed, all mixes in fifths. For each, held-out good pictures of the run, which
trained nothing and chose nothing, get defects planted family by family; the signals are made of those figures. The
truth is what the same mix reaches on the test pictures. Printed and written (`--to results/selection.csv`): Spearman's
rank correlation of signal and truth over the settings, and what the setting that the signal would choose reaches beside
the released weights and the best.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from record import append, commit
from safetensors.torch import load_file
from scipy.stats import spearmanr

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.brightness import linear
from diffusionad.bundle import load_bundle
from diffusionad.config import Config
from diffusionad.data import find_samples, read_mask, read_picture, resize, resize_mask
from diffusionad.detector import Detector
from diffusionad.metrics import auroc, average_precision
from diffusionad.normality import WEIGHTS
from diffusionad.tensors import to_image
from diffusionad.training.data import read_good_pictures

FIFTHS = [np.array(mix, np.float32) / 5 for mix in itertools.product(range(6), repeat=len(WEIGHTS)) if sum(mix) == 5]
EVERY = 4
"""Every so many pixels a side count for the average precision."""
PLANTED = 64
"""Samples of each family, half of them good."""

Units = NDArray[np.float32]
"""[W, h, w], how odd each place is to each witness."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures as the witnesses see them, with the truth."""

    units: list[Units]
    masks: list[NDArray[np.bool_]]
    anomalous: list[bool]

    def figures(self, weights: NDArray[np.float32]) -> tuple[float, float]:
        """Image AUROC and pixel AP of a mix."""
        maps = [np.tensordot(weights, units, 1) for units in self.units]
        count = max(1, maps[0].size * 50 // 256**2)
        scores = [float(np.partition(it, -count, axis=None)[-count:].mean()) for it in maps]
        pixels = np.concatenate([it[::EVERY, ::EVERY].ravel() for it in maps])
        marked = np.concatenate([mask[::EVERY, ::EVERY].ravel() for mask in self.masks])
        return auroc(scores, self.anomalous), average_precision(pixels, marked)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("runs", nargs="+", metavar="RUN=DATA")
    arguments.add_argument("--to", type=Path)
    given = arguments.parse_args()
    for pair in given.runs:
        run, data = map(Path, pair.split("=", 1))
        for row in measure(run, data):
            print("  ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
            if given.to:
                append(given.to, [row])


@torch.inference_mode()
def measure(run: Path, data: Path) -> Iterator[dict[str, object]]:
    bundle = load_bundle(run / "bundle")
    config = bundle.config
    detector = build_detector(config).eval()
    detector.load_state_dict(load_file(bundle.weights))
    truth = _tested(detector, data, config)
    planted = _planted(detector, data, config)
    real = np.array([truth.figures(mix) for mix in FIFTHS])
    released = truth.figures(np.array(WEIGHTS, np.float32))
    found = {name: np.array([shown.figures(mix) for mix in FIFTHS]) for name, shown in planted.items()}
    every = np.stack(list(found.values()))  # [families, settings, 2]
    signals = {
        "image AUROC, mean of families": every[..., 0].mean(axis=0),
        "pixel AP, mean of families": every[..., 1].mean(axis=0),
        "pixel AP, mean of logarithms": np.log(every[..., 1]).mean(axis=0),
        "image AUROC, worst family": every[..., 0].min(axis=0),
        "pixel AP, worst family": every[..., 1].min(axis=0),
        "both, mean of families": every.mean(axis=(0, 2)),
        **{f"image AUROC, {name}": values[:, 0] for name, values in found.items()},
        **{f"pixel AP, {name}": values[:, 1] for name, values in found.items()},
    }
    for name, signal in signals.items():
        chosen = int(signal.argmax())
        for place, figure in enumerate(("image_auroc", "pixel_ap")):
            yield {
                "date": datetime.now(UTC).date().isoformat(),
                "dataset": data.name,
                "seed": config.seed,
                "signal": name,
                "figure": figure,
                "settings": len(FIFTHS),
                "rank_correlation": round(float(spearmanr(signal, real[:, place]).statistic), 3),
                "chosen": "/".join(f"{value:.1f}" for value in FIFTHS[chosen]),
                "of_chosen": round(float(real[chosen, place]), 4),
                "of_released": round(released[place], 4),
                "of_best": round(float(real[:, place].max()), 4),
                "commit": commit(),
            }


def _tested(detector: Detector, data: Path, config: Config) -> Shown:
    shown = Shown([], [], [])
    for sample in find_samples(data):
        if sample.split == "test":
            picture = read_picture(sample.path)
            shown.units.append(_units(detector, to_image(resize(picture, config.data.size))))
            mask = np.zeros(config.data.size, bool)
            if sample.mask_path is not None:
                whole = read_mask(sample.mask_path, (picture.shape[0], picture.shape[1]), picture=sample.path)
                mask = resize_mask(whole, config.data.size)
            shown.masks.append(mask)
            shown.anomalous.append(not sample.is_good)
    return shown


def _planted(detector: Detector, data: Path, config: Config) -> dict[str, Shown]:
    """By family, on the pictures that set the threshold, at the size of the filter bank."""
    with tempfile.TemporaryDirectory() as spill:
        held = read_good_pictures(data, config, "auto", None, spill=Path(spill)).calibration
    families = {}
    for kind in config.synthesis.kinds:
        synthesis = config.synthesis.model_copy(update={"kinds": {kind: 1.0}})
        whole = config.model_copy(update={"data": config.data.model_copy(update={"shrink": 1}), "synthesis": synthesis})
        drawn = build_pairs(whole, held.pictures, held.foregrounds, (), "validation").batch(0, PLANTED)
        families[kind] = Shown(
            [_units(detector, linear(torch.from_numpy(image)).numpy()) for image in drawn.image],
            [mask[0] for mask in drawn.true_mask],
            [bool(mask.any()) for mask in drawn.true_mask],
        )
    return families


def _units(detector: Detector, image: NDArray[np.float32]) -> Units:
    """At the size of the image."""
    shown = torch.from_numpy(np.ascontiguousarray(image)[None])
    if detector.normality is None:
        raise SystemExit("This run has no normality: it has nothing to weigh.")
    units = torch.cat(detector.normality.units(detector.witness(shown)[0], shown))[:, None]
    enlarged = torch.nn.functional.interpolate(units, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return enlarged[:, 0].numpy().astype(np.float32)


if __name__ == "__main__":
    main()
