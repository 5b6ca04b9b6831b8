"""Choosing the weights on held-out good pictures with defects planted in them: test pictures choose nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diffusionad.detector import Detector
from diffusionad.metrics import PixelMetrics, auroc
from diffusionad.pairs import Batch, PairMaker
from diffusionad.scoring import image_score, top_k_inside
from diffusionad.structures import BoolMap, FloatMap

__all__ = ["HeldOut", "Score"]


@dataclass(frozen=True, slots=True)
class Score:
    """Held-out figures, fractions 0..1, on synthetic defects: they rank states of one run and promise nothing.

    Attributes:
        image_auroc: good against planted.
        pixel_ap: average precision of the maps' pixels.
    """

    image_auroc: float
    pixel_ap: float

    @property
    def total(self) -> float:
        """What selection maximises: the mean of both."""
        return (self.image_auroc + self.pixel_ap) / 2


class HeldOut:
    """A fixed set of held-out samples, half of them with planted defects, drawn once from the seed.

    Args:
        pairs: source over the held-out pictures, stream "validation".
        count: samples; memory is count x 3 images.
    """

    def __init__(self, pairs: PairMaker, count: int) -> None:
        drawn = pairs.batch(0, count)
        self._judged = drawn.judged
        self._image, self._true_mask = drawn.image, drawn.true_mask[:, 0]
        self.shown: Batch = pairs.batch(0, min(4, count))

    @torch.no_grad()
    def score(self, detector: Detector, device: torch.device) -> Score:
        """Exact figures of the detector as it would infer: fixed steps, fixed noise, one image at a time."""
        pixels, scores = PixelMetrics(), []
        for image, true_mask, judged in zip(self._image, self._true_mask, self._judged, strict=True):
            score, anomaly_map, _ = detector(torch.from_numpy(image[None]).to(device))
            values = anomaly_map[0].float().cpu().numpy()
            pixels.add(values, true_mask, judged)
            scores.append(float(score[0]) if judged is None else _score_inside(values, judged, detector))
        planted = [bool(true_mask.any()) for true_mask in self._true_mask]
        return Score(auroc(scores, planted), float(pixels.result().pixel_ap or 0.0))


def _score_inside(anomaly_map: FloatMap, judged: BoolMap, detector: Detector) -> float:
    """The image score as the inspector takes it."""
    seen = np.where(judged, anomaly_map, np.float32(0))
    return image_score(seen, top_k_inside(detector.top_k, judged), detector.least)
