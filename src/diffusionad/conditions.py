"""What a picture was taken under: numbers that say why scores drift. They judge nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap, Image

__all__ = ["CONDITIONS", "conditions"]

CONDITIONS = ("brightness", "focus", "left_right", "up_down", "background")
"""Names of what is measured, in the order in which it is told."""


def conditions(
    image: Image, reconstruction: Image, anomaly_map: FloatMap, judged: BoolMap | None = None
) -> dict[str, float]:
    """Measure one picture at working size, where it is judged.

    brightness  mean grey level, 0..1
    focus       log of the variance of the four-neighbour Laplacian of the grey levels
    left_right, up_down   where contrast lies: centre of the squared gradient, as shares of width and height, 0..1
    background  mean absolute difference of image and reconstruction over the less anomalous half of the map

    Args:
        image, reconstruction: [C, H, W] float32 in [-1, 1].
        anomaly_map: [H, W] float32 in 0..1.
        judged: [H, W] bool, what is looked at; None: everything.
    """
    grey = image.mean(axis=0, dtype=np.float64)
    inside = np.ones(grey.shape, dtype=np.bool_) if judged is None else judged
    inner = inside[1:-1, 1:-1]
    middle = grey[1:-1, 1:-1]
    laplacian = 4 * middle - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    energy = (grey[1:-1, 2:] - grey[1:-1, :-2]) ** 2 + (grey[2:, 1:-1] - grey[:-2, 1:-1]) ** 2
    energy = np.where(inner, energy, 0.0)
    quiet = inside & (anomaly_map <= np.median(anomaly_map[inside]))
    difference = np.abs(image - reconstruction).mean(axis=0, dtype=np.float64)
    return {
        "brightness": float(grey[inside].mean() + 1) / 2,
        "focus": float(np.log(laplacian[inner].var() + 1e-12)) if inner.any() else 0.0,
        "left_right": _centre(energy.sum(axis=0)),
        "up_down": _centre(energy.sum(axis=1)),
        "background": float(difference[quiet].mean()),
    }


def _centre(weights: NDArray[np.float64]) -> float:
    """Centre of mass of [N] weights at the middles of N equal cells of 0..1; 0.5 where all are 0."""
    total = float(weights.sum())
    places = (np.arange(len(weights)) + 0.5) / len(weights)
    return float(weights @ places) / total if total > 0 else 0.5
