"""Pictures of an ablation for looking: does the defect disappear, does the good part stay?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusionad.bundle import load_bundle
from diffusionad.data import find_samples, read_mask, resize, resize_mask
from diffusionad.errors import BundleError
from diffusionad.files import write_bytes
from diffusionad.inspector import Inspector
from diffusionad.report.pictures import encode, heat, sheet, strip, to_display
from diffusionad.reproduction.ablation import VARIANTS, Variant, inspector_of, run_folder
from diffusionad.reproduction.runs import Asked, Place, chosen_places
from diffusionad.structures import Sample
from diffusionad.tensors import to_picture
from diffusionad.training.watch import Line

__all__ = ["EACH", "write_strips"]

EACH = 3
"""Test pictures of each kind of defect and of the good ones."""

SIDE = 192
"""Picture that a column has at least, so that its title fits."""


def write_strips(asked: Asked, folder: Path, line: Line) -> int:
    """Write one PNG a test picture, a row for each variant whose run is finished: picture, reconstruction, map, truth.

    Nothing is trained. The heat of the maps has one scale, 0..1, for all variants: bare differences look dark.

    Returns:
        how many were written.

    Raises:
        what `chosen_places` raises; ResourceError when nothing can be written.
    """
    written = 0
    for place in chosen_places(asked):
        samples = _chosen([s for s in find_samples(asked.root, place.layout, place.category) if s.split == "test"])
        for seed in range(asked.seeds):
            variants = _finished(asked, place, seed)
            if not variants:
                line(f"{place.category}, seed {seed}: no finished run, no pictures.", False)
                continue
            rows = [[_row(name, inspector, sample) for sample in samples] for name, inspector in variants]
            for number, sample in enumerate(samples):
                path = folder / place.category / f"seed{seed}" / f"{sample.defect}_{sample.path.stem}.png"
                write_bytes(path, encode(sheet([of_variant[number] for of_variant in rows]), "png"))
            written += len(samples)
            line(f"{place.category}, seed {seed}: {len(samples)} pictures of {len(variants)} variants.", False)
    return written


def _chosen(samples: Sequence[Sample]) -> list[Sample]:
    """`EACH` of each kind, spread over the names: chosen by no score."""
    chosen: list[Sample] = []
    for defect in sorted({sample.defect for sample in samples}):
        of_kind = sorted((s for s in samples if s.defect == defect), key=lambda sample: sample.path)
        places = np.unique(np.linspace(0, len(of_kind) - 1, EACH).round().astype(int))
        chosen += [of_kind[index] for index in places]
    return chosen


def _finished(asked: Asked, place: Place, seed: int) -> list[tuple[str, Inspector]]:
    found = []
    for variant in VARIANTS:
        inspector = _if_finished(asked, place, variant, seed)
        if inspector is not None:
            found.append((variant.name, inspector))
    return found


def _if_finished(asked: Asked, place: Place, variant: Variant, seed: int) -> Inspector | None:
    try:
        trained = load_bundle(run_folder(asked, place, variant.training, seed) / "bundle")
    except BundleError:
        return None
    return inspector_of(asked, variant, seed, trained)


def _row(name: str, inspector: Inspector, sample: Sample) -> NDArray[np.uint8]:
    shown = inspector.see(sample.path)
    seen, view = shown.picture, shown.view
    outcome = inspector.outcome_of(seen, view)
    size = (outcome.anomaly_map.shape[0], outcome.anomaly_map.shape[1])  # of tiled pictures smaller than what was seen
    truth = np.zeros(size, np.bool_)
    if sample.mask_path is not None:
        truth = resize_mask(view.mask(read_mask(sample.mask_path, view.native, picture=sample.path)), size)
    columns = [
        to_display(resize(seen, size)),
        to_display(resize(to_picture(outcome.reconstruction), size)),
        heat(outcome.anomaly_map),
        np.repeat(truth[:, :, None], 3, axis=2).astype(np.uint8) * np.uint8(255),
    ]
    factor = -(-SIDE // min(size))
    larger = [column.repeat(factor, axis=0).repeat(factor, axis=1) for column in columns]
    return strip(larger, [name, "reconstruction", f"map, score {outcome.image_score:.3f}", "truth"])
