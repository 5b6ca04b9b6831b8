"""Fitting the detector's normality: what residuals of good pictures usually are, and how much a deviation counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from diffusionad.detector import Detector
from diffusionad.normality import Normality
from diffusionad.structures import Picture
from diffusionad.tensors import to_image

__all__ = ["MOST", "TOLERANCE", "choose_share", "fit_normality"]

MOST = 500
"""Pictures or tiles that are looked at, evenly spread: more change the statistics little and only take time."""

TOLERANCE = 0.02
"""Held-out score given up for a larger share: on planted defects the segmenter has the home advantage."""


def fit_normality(
    detector: Detector, training: Sequence[Picture], held_out: Sequence[Picture], device: torch.device
) -> None:
    """Fit `detector.normality`, where it has one, on `training`; `held_out` good pictures set its unit."""
    if detector.normality is not None:
        detector.normality.fit(_residuals(detector, training, device), _residuals(detector, held_out, device))


def choose_share(normality: Normality, shares: Sequence[float], score: Callable[[], float]) -> None:
    """Give the deviation the largest share whose held-out `score` is within `TOLERANCE` of the best one's."""
    scores = {}
    for share in sorted(shares):
        normality.share.fill_(share)
        scores[share] = score()
    least = max(scores.values()) - TOLERANCE
    normality.share.fill_(max(share for share, reached in scores.items() if reached >= least))


@torch.no_grad()
def _residuals(detector: Detector, pictures: Sequence[Picture], device: torch.device) -> Iterator[Tensor]:
    for index in range(0, len(pictures), -(-len(pictures) // MOST)):
        image = torch.from_numpy(to_image(pictures[index])[None]).to(device)
        yield detector.residual(image, detector.reconstruct_fixed(image))[0]
