"""Fitting the detector's normality: what good pictures usually show, and in which unit it is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from diffusionad.detector import Detector
from diffusionad.structures import Picture
from diffusionad.tensors import to_image

__all__ = ["MOST", "fit_normality"]

MOST = 500
"""Pictures or tiles that are looked at, evenly spread: more change the statistics little and only take time."""


@torch.no_grad()
def fit_normality(
    detector: Detector, training: Sequence[Picture], held_out: Sequence[Picture], device: torch.device
) -> None:
    """Fit `detector.normality`, where it has one, on `training`; `held_out` good pictures set its units."""
    if detector.normality is None:
        return
    detector.normality.fit(
        lambda: (detector.witness(image)[0] for image in _images(training, device)),
        lambda: (image[0] for image in _images(training, device)),
        ((detector.witness(image)[0], image) for image in _images(held_out, device)),
        min(MOST, len(held_out)),
    )


def _images(pictures: Sequence[Picture], device: torch.device) -> Iterator[Tensor]:
    """[1, C, H, W] each of at most `MOST` of them."""
    for index in range(0, len(pictures), -(-len(pictures) // MOST)):
        yield torch.from_numpy(to_image(pictures[index])[None]).to(device)
