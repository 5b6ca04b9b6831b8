"""SPADE: nearest neighbours of the picture, then of every place in them (Cohen and Hoshen 2020, arXiv 2005.02357).

No package has it. Distances are squared, K = 50 and kappa = 1 as in the paper; stages of stride 4, 8 and 16 make its
pyramid, the deepest stage its picture features; the map is smoothed with sigma 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate

from diffusionad.benchmark.backbone import extractor, read
from diffusionad.benchmark.methods import Settings
from diffusionad.structures import FloatMap
from diffusionad.training.state import save_weights

__all__ = ["Spade", "nearest"]

NEIGHBOURS, SMOOTHING, STAGES = 50, 4.0, (1, 2, 3, 4)


def nearest(queries: Tensor, gallery: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances [Q, count] to the nearest of [G, C] for [Q, C], and which they are (Eq. 1 and 3)."""
    apart = torch.addmm(gallery.square().sum(1)[None], queries, gallery.T, alpha=-2)  # less the query's own square
    found = apart.topk(min(count, len(gallery)), dim=1, largest=False)
    return (found.values + queries.square().sum(1)[:, None]).clamp_(min=0), found.indices


class Spade:
    """The method."""

    def __init__(self, settings: Settings) -> None:
        self._size, self._out = settings.size, settings.out

    def fit(self, pictures: Sequence[Path]) -> None:
        self._network = extractor(STAGES).eval()
        seen = [self._features(path) for path in pictures]
        self._whole = torch.stack([whole for whole, _ in seen])
        self._pyramids = [pyramid for _, pyramid in seen]
        levels = {str(level): torch.cat(every) for level, every in enumerate(zip(*self._pyramids, strict=True))}
        save_weights(self._out / "features.safetensors", {"whole": self._whole, **levels})

    @torch.inference_mode()
    def predict(self, path: Path) -> tuple[float, FloatMap]:
        whole, pyramid = self._features(path)
        distances, which = nearest(whole[None], self._whole, NEIGHBOURS)
        queries = _places(pyramid)
        found = torch.full((len(queries),), torch.inf)
        for place in which[0].tolist():  # one neighbour after the other: the gallery of 50 is never held at once
            found = torch.minimum(found, nearest(queries, _places(self._pyramids[place]), 1)[0][:, 0])
        side = pyramid[0].shape[-2:]
        shown = interpolate(found.view(1, 1, *side), self._size, mode="bilinear")[0, 0].numpy()
        return float(distances.mean()), np.asarray(gaussian_filter(shown, SMOOTHING), np.float32)

    @torch.inference_mode()
    def _features(self, path: Path) -> tuple[Tensor, list[Tensor]]:
        *pyramid, deepest = self._network(read(path, self._size)[None])
        return deepest.mean(dim=(2, 3))[0], pyramid


def _places(pyramid: list[Tensor]) -> Tensor:
    """[H W, C]: every place of the finest stage, with what coarser ones say there."""
    side = pyramid[0].shape[-2:]
    stacked = torch.cat([interpolate(stage, side, mode="bilinear") for stage in pyramid], dim=1)
    return stacked[0].flatten(1).T
