"""Raw maps and scores of any method against the same masks, by our exact metrics; one map at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusionad.bundle import load_bundle
from diffusionad.calibration import calibrate
from diffusionad.data import pooled, read_mask, read_picture, resize_mask
from diffusionad.metrics import PixelMetrics, auroc, average_precision, f1_max
from diffusionad.rng import generator
from diffusionad.structures import BoolMap, FloatMap, Sample

__all__ = ["Judged", "figures", "interval"]

DRAWS = 1000
"""Bootstrap samples of the test pictures."""

FALSE_ALARMS = 0.01
"""Share of good pictures that the threshold is asked for; with fewer than 99 held out it is the strictest there is."""

SMALL = 64
"""Side of the maps that are kept for the page."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a method said.

    Attributes:
        maps: folder of 000000.npy ..., [H, W] float32 of any scale; those held out come first.
        scores: in the same order.
        held: how many good pictures were held out for the threshold.
        test: the test pictures.
        size: (H, W) of the maps.
    """

    maps: Path
    scores: Sequence[float]
    held: int
    test: Sequence[Sample]
    size: tuple[int, int]

    def map_of(self, place: int) -> FloatMap:
        """[H, W] as it was given, of the test picture at `place`. Raises ValueError where it is not finite."""
        found: FloatMap = np.load(self.maps / f"{self.held + place:06d}.npy", allow_pickle=False)
        if not np.isfinite(found).all():
            raise ValueError(f"the map of {self.test[place].path.name} is not finite")
        return found

    def small(self) -> NDArray[np.float32]:
        """[N, h, w] of the test pictures: 1 is the loudest pixel of the pictures held out, 0 their median."""
        held = [np.load(self.maps / f"{place:06d}.npy", allow_pickle=False) for place in range(self.held)]
        quiet, loud = (float(np.median([one(it) for it in held])) for one in (np.median, np.max))
        factor = max(1, self.size[0] // SMALL)
        shrunk = [pooled(self.map_of(place), factor) for place in range(len(self.test))]
        return ((np.stack(shrunk) - quiet) / max(loud - quiet, 1e-12)).astype(np.float32)


def figures(judged: Judged, bundle: Path | None = None) -> dict[str, float | str | None]:
    """All figures of a row. Maps are brought to 0..1 by one affine map for all of them, which changes no rank.

    The threshold is the conformal one from the scores held out; of a bundle trained before, which may know those
    pictures, its own.
    """
    lows, highs = zip(*((float(one.min()), float(one.max())) for one in _maps(judged)), strict=True)
    low, span = min(lows), max(max(highs) - min(lows), 1e-12)
    pixels = PixelMetrics()
    for found, sample in zip(_maps(judged), judged.test, strict=True):
        pixels.add(np.clip((found - low) / span, 0, 1).astype(np.float32), _true_mask(sample, judged.size))
    result = pixels.result()
    scores, labels = _test(judged)
    stored = load_bundle(bundle).calibration if bundle else calibrate(judged.scores[: judged.held], FALSE_ALARMS)
    threshold = stored.threshold if stored else np.inf
    return {
        "image_auroc": auroc(scores, labels),
        "image_ap": average_precision(scores, labels),
        "image_f1_max": f1_max(scores, labels)[0],
        "pixel_auroc": result.pixel_auroc,
        "pixel_ap": result.pixel_ap,
        "aupro": result.aupro,
        "false_alarms": f"{int((scores[~labels] > threshold).sum())}/{int((~labels).sum())}",
        "escapes": f"{int((scores[labels] <= threshold).sum())}/{int(labels.sum())}",
        "trained_seconds": load_bundle(bundle).origin.seconds if bundle else None,
    }


def interval(judged: Judged, seed: int) -> tuple[float, float]:
    """95 % of the image AUROC over bootstrap samples of the test pictures, good and defective ones apart."""
    scores, labels = _test(judged)
    good, bad, rng = scores[~labels], scores[labels], generator(seed, "order")
    found = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rng.choice(good, len(good)), rng.choice(bad, len(bad))])
        found.append(auroc(drawn, np.repeat([False, True], [len(good), len(bad)])))
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def _test(judged: Judged) -> tuple[NDArray[np.float64], BoolMap]:
    return np.array(judged.scores[judged.held :]), np.array([not sample.is_good for sample in judged.test])


def _maps(judged: Judged) -> Iterator[FloatMap]:
    return (judged.map_of(place) for place in range(len(judged.test)))


def _true_mask(sample: Sample, size: tuple[int, int]) -> BoolMap:
    if sample.mask_path is None:
        return np.zeros(size, np.bool_)
    native = read_picture(sample.path).shape[:2]
    return resize_mask(read_mask(sample.mask_path, (native[0], native[1]), picture=sample.path), size)
