"""What each part of the map is worth: python benchmarks/normality.py RUN DATA --to results/normality.csv.

RUN is a training run's folder, DATA the data set it was trained on. Four maps of the same test pictures: the
segmenter's alone (the paper), the residual's deviation alone, both (what the bundle does), and, to see what the
networks add, the deviation of the picture itself, with no network at all.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from record import commit, cpu
from safetensors.torch import load_file
from torch import Tensor

from diffusionad.assembly import build_detector
from diffusionad.bundle import load_bundle
from diffusionad.config import Config
from diffusionad.data import find_samples, read_mask, read_picture, resize, resize_mask
from diffusionad.detector import Detector
from diffusionad.metrics import PixelMetrics, auroc
from diffusionad.normality import Normality
from diffusionad.structures import BoolMap, Picture, Sample
from diffusionad.tensors import to_image
from diffusionad.training.data import read_good_pictures

Mapper = Callable[[Tensor], Tensor]
"""image [1, C, H, W] -> log odds [1, H, W]."""


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
        for name, mapper in mappers(detector, config, given.data).items():
            figures = [round(value, 4) for value in measure(mapper, samples, config)]
            writer.writerow(
                [datetime.now(UTC).date().isoformat(), origin.data, config.seed, config.preset,
                 round(origin.seconds / 60, 2), name, *figures, commit(), cpu()]
            )  # fmt: skip
            stream.flush()
            print(f"{name:28s} image AUROC {figures[0]:.4f}, pixel AUROC {figures[1]:.4f}, AP {figures[2]:.4f}")


def mappers(detector: Detector, config: Config, data: Path) -> dict[str, Mapper]:
    normality = detector.normality
    if normality is None:
        raise SystemExit("This run has no normality (normality.widths is empty): there is nothing to take apart.")
    good = read_good_pictures(data, config, "auto", None, spill=Path(tempfile.mkdtemp()))
    of_pictures = Normality(config.channels, config.data.size, config.normality.widths)
    of_pictures.fit(images(good.training.pictures), images(good.validation.pictures))

    def segmenter(image: Tensor) -> Tensor:
        return detector.compare(image, detector.reconstruct_fixed(image).guided)[:, 0]

    def deviation(image: Tensor) -> Tensor:
        return normality(detector.residual(image, detector.reconstruct_fixed(image)))

    def both(image: Tensor) -> Tensor:
        return normality.fuse(segmenter(image), detector.residual(image, detector.reconstruct_fixed(image)))

    return {
        "segmenter alone": segmenter,
        "deviation alone": deviation,
        "both": both,
        "deviation of the picture": of_pictures,
    }


def images(pictures: Sequence[Picture]) -> Iterator[Tensor]:
    return (torch.from_numpy(to_image(picture)) for picture in pictures)


@torch.inference_mode()
def measure(mapper: Mapper, samples: Sequence[Sample], config: Config) -> tuple[float, float, float, float]:
    """Image AUROC, pixel AUROC, pixel AP and AUPRO; the image score is the mean of the top K of the map."""
    pixels, scores = PixelMetrics(), []
    for sample in samples:
        picture = read_picture(sample.path)
        image = torch.from_numpy(to_image(resize(picture, config.data.size))[None])
        found = torch.sigmoid(mapper(image))[0]
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
