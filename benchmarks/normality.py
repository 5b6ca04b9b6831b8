"""What each witness of the map is worth: python benchmarks/normality.py RUN DATA --to results/normality.csv.

RUN is a training run's folder, DATA the data set it was trained on. Maps of the same test pictures: each witness alone
(the segmenter's is the paper), those that are no networks at all, those that are, all but one, and all (what the bundle
does).
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from record import commit, cpu
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from diffusionad.assembly import build_detector
from diffusionad.bundle import load_bundle
from diffusionad.config import Config
from diffusionad.data import find_samples, read_mask, read_picture, resize, resize_mask
from diffusionad.detector import Detector
from diffusionad.metrics import PixelMetrics, auroc
from diffusionad.normality import EVEN, SOFT, WEIGHTS
from diffusionad.structures import BoolMap, Picture, Sample
from diffusionad.tensors import to_image

WITNESSES = ("segmenter", "residual", "filter bank", "textons", "context")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("run", type=Path)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    bundle = load_bundle(given.run / "bundle")
    config, origin = bundle.config, bundle.origin
    detector = build_detector(config).eval()
    detector.load_state_dict(load_file(bundle.weights))
    samples = [sample for sample in find_samples(given.data, "auto", None) if sample.split == "test"]
    new = not given.to.exists()
    with given.to.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(
                ["date", "dataset", "seed", "preset", "minutes", "map", "image_auroc", "pixel_auroc", "pixel_ap",
                 "aupro", "commit", "cpu"]
            )  # fmt: skip
        for name, measured in measure(detector, samples, config).items():
            figures = [round(value, 4) for value in measured]
            writer.writerow(
                [datetime.now(UTC).date().isoformat(), origin.data, config.seed, config.preset,
                 round(origin.seconds / 60, 2), name, *figures, commit(), cpu()]
            )  # fmt: skip
            print(f"{name:28s} image AUROC {figures[0]:.4f}, pixel AUROC {figures[1]:.4f}, AP {figures[2]:.4f}")


def maps(detector: Detector, image: Tensor) -> dict[str, Tensor]:
    """image [1, C, H, W] -> by name, log odds [1, h, w]."""
    if detector.normality is None:
        raise SystemExit("This run has no normality (normality.widths is empty): there is nothing to take apart.")
    evidence = detector.witness(image)[0]
    units = detector.normality.units(evidence, image)

    def heard(*which: int) -> Tensor:
        mean = torch.stack([WEIGHTS[number] * units[number] for number in which]).sum(dim=0)
        return (mean / sum(WEIGHTS[number] for number in which) - EVEN) / SOFT

    everyone = range(len(WITNESSES))
    return {
        "segmenter alone": evidence.logits,
        **{f"{name} alone": heard(number) for number, name in enumerate(WITNESSES) if number},
        "no networks": heard(2, 3),
        "networks alone": heard(0, 1, 4),
        **{f"all but {name}": heard(*(it for it in everyone if it != number)) for number, name in enumerate(WITNESSES)},
        "all": heard(*everyone),
    }


@torch.inference_mode()
def measure(detector: Detector, samples: Sequence[Sample], config: Config) -> dict[str, list[float]]:
    """Image AUROC, pixel AUROC, pixel AP and AUPRO of each map; the image score is the mean of its top K."""
    pixels: dict[str, PixelMetrics] = defaultdict(PixelMetrics)
    scores: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        picture = read_picture(sample.path)
        image = torch.from_numpy(to_image(resize(picture, config.data.size))[None])
        mask = true_mask(sample, picture, config.data.size)
        for name, odds in maps(detector, image).items():
            large = F.interpolate(odds[:, None], size=config.data.size, mode="bilinear", align_corners=False)
            found = torch.sigmoid(large)[0, 0]
            top = found.flatten().topk(max(1, round(config.top_k * found.numel() / 256**2))).values
            scores[name].append(float(top.mean()))
            pixels[name].add(found.numpy(), mask)
    anomalous = [not sample.is_good for sample in samples]
    figures = {}
    for name, it in pixels.items():
        result = it.result()
        outlines = (result.pixel_auroc, result.pixel_ap, result.aupro)
        assert all(figure is not None for figure in outlines), "the test pictures have no masks"
        figures[name] = [auroc(scores[name], anomalous), *(figure for figure in outlines if figure is not None)]
    return figures


def true_mask(sample: Sample, picture: Picture, size: tuple[int, int]) -> BoolMap:
    if sample.mask_path is None:
        return np.zeros(size, dtype=np.bool_)
    return resize_mask(read_mask(sample.mask_path, picture.shape[:2], picture=sample.path), size)


if __name__ == "__main__":
    main()
