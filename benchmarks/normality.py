"""What each witness of the map is worth: python benchmarks/normality.py RUN DATA --to results/normality.csv.

RUN is a training run's folder, DATA the data set it was trained on. Maps of the same test pictures: the segmenter's
alone (the paper), the distances of residual, filter bank, textons (the last two are no networks at all) and context
alone, those that need networks together, all but textons, all but the context, and all (what the bundle does).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
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

Mapper = Callable[[Tensor], Tensor]
"""image [1, C, H, W] -> log odds [1, h, w]."""


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
        for name, mapper in mappers(detector).items():
            figures = [round(value, 4) for value in measure(mapper, samples, config)]
            writer.writerow(
                [datetime.now(UTC).date().isoformat(), origin.data, config.seed, config.preset,
                 round(origin.seconds / 60, 2), name, *figures, commit(), cpu()]
            )  # fmt: skip
            stream.flush()
            print(f"{name:28s} image AUROC {figures[0]:.4f}, pixel AUROC {figures[1]:.4f}, AP {figures[2]:.4f}")


def mappers(detector: Detector) -> dict[str, Mapper]:
    normality = detector.normality
    if normality is None:
        raise SystemExit("This run has no normality (normality.widths is empty): there is nothing to take apart.")

    def heard(*which: int) -> Mapper:
        def odds(image: Tensor) -> Tensor:
            units = normality.units(detector.witness(image)[0], image)
            mean = torch.stack([WEIGHTS[number] * units[number] for number in which]).sum(dim=0)
            return (mean / sum(WEIGHTS[number] for number in which) - EVEN) / SOFT

        return odds

    return {
        "segmenter alone": lambda image: detector.witness(image)[0].logits,
        "residual alone": heard(1),
        "filter bank alone": heard(2),
        "textons alone": heard(3),
        "context alone": heard(4),
        "all but filter bank and textons": heard(0, 1, 4),
        "all but textons": heard(0, 1, 2, 4),
        "all but context": heard(0, 1, 2, 3),
        "all": heard(0, 1, 2, 3, 4),
    }


@torch.inference_mode()
def measure(mapper: Mapper, samples: Sequence[Sample], config: Config) -> tuple[float, float, float, float]:
    """Image AUROC, pixel AUROC, pixel AP and AUPRO; the image score is the mean of the top K of the map."""
    pixels, scores = PixelMetrics(), []
    for sample in samples:
        picture = read_picture(sample.path)
        image = torch.from_numpy(to_image(resize(picture, config.data.size))[None])
        odds = F.interpolate(mapper(image)[:, None], size=config.data.size, mode="bilinear", align_corners=False)
        found = torch.sigmoid(odds)[0, 0]
        top = found.flatten().topk(max(1, round(config.top_k * found.numel() / 256**2))).values
        scores.append(float(top.mean()))
        pixels.add(found.numpy(), true_mask(sample, picture, config.data.size))
    result = pixels.result()
    figures = (result.pixel_auroc, result.pixel_ap, result.aupro)
    assert all(figure is not None for figure in figures), "the test pictures have no masks"
    return (auroc(scores, [not sample.is_good for sample in samples]), *map(float, figures))


def true_mask(sample: Sample, picture: Picture, size: tuple[int, int]) -> BoolMap:
    if sample.mask_path is None:
        return np.zeros(size, dtype=np.bool_)
    return resize_mask(read_mask(sample.mask_path, picture.shape[:2], picture=sample.path), size)


if __name__ == "__main__":
    main()
