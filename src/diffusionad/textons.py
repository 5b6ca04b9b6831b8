"""What good pictures show anywhere: the part of normality that does not ask where a place lies.

Parts that are turned or laid anew, chips in a dough, grain: there the mean of a place says little, and what shows there
on one picture shows elsewhere on another. So the features of the filter bank are gathered from all places of all good
pictures and grouped around a thousand centres, the textons of texture analysis (Leung and Malik 2001, section 3), and a
place is as odd as it is far from the nearest of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FLOOR", "Textons", "middle"]

COUNT = 1024
"""Textons."""

STEP = 2
"""Cells of the features, a side, whose mean is one place: their noise shrinks, and so does the work."""

CELLS = 60_000
"""Places of good pictures that are grouped, at most, chosen evenly."""

ROUNDS = (6, 4)
"""Steps of k-means in the covariance of all places, then in that of places around their texton."""

CHUNK = 8192
"""Places whose distances to all textons are held at once."""

FLOOR = 1e-4
"""Added to squared distances, so that their logarithm is finite."""

LEVEL = 8
"""Parts a side of which a picture's middle is the median: a defect moves few of them."""


class Textons(nn.Module):
    """features [B, F, h, w] -> log distance [B, h', w'] from the nearest texton.

    Distances are Mahalanobis's in the covariance of places around their texton. h' and w' are `STEP` times smaller
    where both sides are multiples of it.

    Args:
        features: F.
        places: (h, w).
        stir: standard deviation added to every feature.
        levelled: first take from a picture its `middle`: its light and its contrast are its own.
    """

    whitening: Tensor
    centres: Tensor

    def __init__(self, features: int, places: tuple[int, int], stir: float, *, levelled: bool) -> None:
        super().__init__()
        self._step = STEP if all(side % STEP == 0 for side in places) else 1
        self._stir, self._levelled = stir, levelled
        self.register_buffer("whitening", torch.zeros(features, features))
        self.register_buffer("centres", torch.zeros(COUNT, features))

    def forward(self, features: Tensor) -> Tensor:
        seen = self.reduced(features)
        here = seen.flatten(2).transpose(1, 2) @ self.whitening.T
        apart = here.square().sum(dim=2) + _apart(here, self.centres).amin(dim=2)
        distance = 0.5 * torch.log(apart.clamp(min=0) / features.shape[1] + FLOOR)
        return distance.reshape(-1, seen.shape[2], seen.shape[3])

    def reduced(self, features: Tensor) -> Tensor:
        """[B, F, h', w']: what is grouped and compared."""
        smaller = F.avg_pool2d(features, self._step) if self._step > 1 else features
        return smaller - middle(smaller) if self._levelled else smaller

    @torch.no_grad()
    def fit(self, cells: Tensor) -> None:
        """Learn the textons of `cells` [N, F], the reduced features of good pictures; the same cells, the same textons.

        By k-means (Lloyd 1982) from cells that are drawn, twice: the first time tells how far places lie from their
        texton, which is the measure of the second.
        """
        order = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0)).to(cells.device)
        cells = cells[order[:CELLS]]
        apart = cells - cells.mean(dim=0)
        for steps in ROUNDS:
            whitening = self._whitening(apart)
            here = cells @ whitening.T
            centres = here[torch.arange(COUNT, device=cells.device) % len(cells)]
            for _ in range(steps):
                centres, nearest = _moved(here, centres)
            apart = cells - _means(cells, nearest)[nearest]
        self.whitening.copy_(whitening)
        self.centres.copy_(centres)

    def _whitening(self, apart: Tensor) -> Tensor:
        """[F, F], L^-1 of the covariance L L^T of `apart` [N, F]."""
        wide = apart.double()
        one = torch.eye(wide.shape[1], dtype=wide.dtype, device=wide.device)
        lower = torch.linalg.cholesky(wide.T @ wide / len(wide) + self._stir**2 * one)
        whitening: Tensor = torch.linalg.solve_triangular(lower, one, upper=False).to(apart)
        return whitening


def middle(features: Tensor) -> Tensor:
    """[B, F, h, w] -> [B, F, 1, 1]: the median of its means over `LEVEL` x `LEVEL` parts."""
    side = (max(1, features.shape[-2] // LEVEL), max(1, features.shape[-1] // LEVEL))
    parts = F.avg_pool2d(features, side).flatten(2)
    return parts.topk(parts.shape[-1] // 2 + 1, dim=2).values[:, :, -1:, None]


def _apart(here: Tensor, centres: Tensor) -> Tensor:
    """[..., N, F] -> [..., N, K]: squared distance to each of `centres` [K, F], less the square of `here`."""
    return centres.square().sum(dim=1) - 2 * here @ centres.T


def _moved(here: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """One step of k-means: the new centres [K, F], and which was the nearest to each place [N]. A centre that is the
    nearest to none stays.
    """
    nearest = torch.cat([_apart(part, centres).argmin(dim=1) for part in torch.split(here, CHUNK)])
    is_used = torch.bincount(nearest, minlength=len(centres)) > 0
    return torch.where(is_used[:, None], _means(here, nearest), centres), nearest


def _means(cells: Tensor, nearest: Tensor) -> Tensor:
    """[COUNT, F]: the mean of the cells of each texton; zeros where it has none."""
    count = torch.bincount(nearest, minlength=COUNT).clamp(min=1)
    total = torch.zeros(COUNT, cells.shape[1], dtype=cells.dtype, device=cells.device)
    return total.index_add_(0, nearest, cells) / count[:, None]
