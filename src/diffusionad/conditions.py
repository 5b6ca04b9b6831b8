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
    grey = image.mean(axis=0)
    above, below, left, right = grey[:-2, 1:-1], grey[2:, 1:-1], grey[1:-1, :-2], grey[1:-1, 2:]
    laplacian = 4 * grey[1:-1, 1:-1] - (above + below) - (left + right)
    energy = np.square(right - left) + np.square(below - above)
    odd, bends = anomaly_map, laplacian
    if judged is not None:
        inner = judged[1:-1, 1:-1]
        energy, bends = energy * inner, laplacian[inner]
        odd = anomaly_map[judged]
    half = (odd.size - 1) // 2
    quiet = anomaly_map <= np.partition(odd, half, axis=None)[half]
    if judged is not None:
        quiet &= judged
    shown = grey if judged is None else grey[judged]
    difference = image - reconstruction
    difference = np.abs(difference, out=difference).mean(axis=0)
    return {
        "brightness": float(shown.mean(dtype=np.float64) + 1) / 2,
        "focus": float(np.log(bends.var(dtype=np.float64) + 1e-12)) if bends.size else 0.0,
        "left_right": _centre(energy.sum(axis=0, dtype=np.float64)),
        "up_down": _centre(energy.sum(axis=1, dtype=np.float64)),
        "background": float((difference * quiet).sum(dtype=np.float64) / quiet.sum()),
    }


def _centre(weights: NDArray[np.float64]) -> float:
    """Centre of mass of [N] weights at the middles of N equal cells of 0..1; 0.5 where all are 0."""
    total = float(weights.sum())
    places = (np.arange(len(weights)) + 0.5) / len(weights)
    return float(weights @ places) / total if total > 0 else 0.5
