"""What good pictures usually show, and how far a picture lies from that: the part of the map that knows no defects.

Three witnesses say how odd each place is. The segmenter has seen planted defects. The residual tells what the
reconstruction changed; as one is never perfect, edges and print leave a residual on every good part. The filter bank
tells which edges, lines and colours the picture itself shows, at twice the detail of the networks or more. The last two
are judged by the habit of each place: mean and covariance over good training pictures, and Mahalanobis's distance from
them. The statistics are PaDiM's (Defard et al. 2021, section 3), of residuals and filters instead of pretrained
features. Then each witness is put into one unit, how much further it goes than on held-out good pictures, and their
mean decides, in which the filter bank counts twice as much as the segmenter and the residual little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionad.blurring import blurred
from diffusionad.filters import FilterBank

__all__ = ["Habit", "Normality", "Tail"]

GRAIN = 0.01
"""Standard deviation added to every residual, on the [-1, 1] scale: about one grey level of 256."""

STIR = 0.1
"""Standard deviation added to the responses of the filter bank, most of which are logarithms."""

COMPONENTS = 40
"""Principal components that are kept: what is left of most features is grain."""

LEVEL = 8
"""Parts a side of which a picture's middle is the median: a defect moves few of them."""

BLOCK = 4
"""Places a side that share one covariance: parts never lie exactly, and few pictures tell few numbers."""

USUAL = 0.99
"""Share of the pixels of held-out good pictures that are no further out than 0 units."""

PIXELS = 1 << 20
"""Pixels of held-out pictures that set the unit, at most."""

LEAST_EXCESS = 0.05
"""A unit is never smaller, in log odds or log distance."""

FLOOR = 1e-4
"""Added to squared distances, so that their logarithm is finite."""

WEIGHTS = (0.3, 0.1, 0.6)
"""Of segmenter, residual and filter bank in the mean."""

EVEN, SOFT = 4.0, 3.0
"""Units at which the map is one half, and units that multiply its odds by e: good pictures stay dark."""


class Habit(nn.Module):
    """features [B, F, h, w] -> log distance [B, h, w] from what is usual at each place.

    Args:
        features: F.
        places: (h, w).
        stir: standard deviation added to every feature.
        pooled: one mean and covariance for all places, instead of a mean for each and a covariance for each `BLOCK`.
        levelled: first take from a picture by how much most of it differs: its light and its contrast are its own.
    """

    axes: Tensor
    mean: Tensor
    whitening: Tensor

    def __init__(
        self,
        features: int,
        places: tuple[int, int],
        stir: float,
        *,
        pooled: bool = False,
        levelled: bool = False,
    ) -> None:
        super().__init__()
        self._stir, kept = stir, min(features, COMPONENTS)
        self._blocks = (1, 1) if pooled else (_blocks(places[0]), _blocks(places[1]))
        self._pooled, self._levelled = pooled, levelled
        self.register_buffer("axes", torch.zeros(kept, features))
        self.register_buffer("mean", torch.zeros(kept, *((1, 1) if pooled else places)))
        self.register_buffer("whitening", torch.zeros(self._blocks[0] * self._blocks[1], kept, kept))

    def forward(self, features: Tensor) -> Tensor:
        whitened = self.whitening @ self._in_blocks(self._apart(features, self.axes, self.mean))
        return self._in_place(0.5 * torch.log(whitened.square().mean(dim=1) + FLOOR), features.shape)

    @torch.no_grad()
    def fit(self, pictures: Callable[[], Iterable[Tensor]]) -> None:
        """Learn from the features [F, h, w] of good pictures, taken one at a time, twice.

        The covariance of a block is drawn towards that of the whole picture, the more the fewer pictures there are.
        """
        count, kept = 0, len(self.axes)
        total = products = torch.zeros((), dtype=torch.float64)
        for picture in pictures():
            features = picture.double()
            flat = features.flatten(1)
            count, total = count + 1, total + self._gathered(features)
            products = products + flat @ flat.T / flat.shape[1]
        mean = total / count
        centre = mean.mean(dim=(1, 2))
        spread = products / count - centre[:, None] * centre[None]
        axes = torch.eye(kept).to(spread)
        if kept < len(spread):
            axes = torch.linalg.eigh(spread).eigenvectors[:, -kept:].T
        mean = torch.einsum("kf,fhw->khw", axes, mean)
        within = torch.zeros((), dtype=torch.float64)
        for picture in pictures():
            here = self._in_blocks(self._apart(picture.double()[None], axes, mean))
            within = within + here @ here.transpose(1, 2) / here.shape[2] / count
        share = kept / (kept + count)
        noise = self._stir**2 * torch.eye(kept).to(within)
        covariance = torch.lerp(within, within.mean(dim=0).expand_as(within), share) + noise
        # C = L L^T, whitening L^-1: |L^-1 d|^2 = d^T C^-1 d
        lower = torch.linalg.cholesky(covariance)
        one = torch.eye(kept).to(lower).expand_as(lower)
        self.axes.copy_(axes)
        self.mean.copy_(mean)
        self.whitening.copy_(torch.linalg.solve_triangular(lower, one, upper=False))

    def _apart(self, features: Tensor, axes: Tensor, mean: Tensor) -> Tensor:
        """[B, F, h, w] -> [B, components, h, w], less what is usual at each place and, where levelled, the middle of
        what then is left of each picture: the median of its means over `LEVEL` x `LEVEL` parts.
        """
        apart = F.conv2d(features, axes[:, :, None, None]) - mean
        if not self._levelled:
            return apart
        parts = F.avg_pool2d(apart, (apart.shape[-2] // LEVEL, apart.shape[-1] // LEVEL)).flatten(2)
        upper = parts.topk(parts.shape[-1] // 2 + 1, dim=2).values
        return apart - upper[:, :, -1:, None]

    def _gathered(self, features: Tensor) -> Tensor:
        """[F, h, w] for each place, or [F, 1, 1] when all places are one."""
        return features.mean(dim=(1, 2), keepdim=True) if self._pooled else features

    def _in_blocks(self, values: Tensor) -> Tensor:
        """[B, F, h, w] -> [blocks, F, B x places of a block]."""
        batch, features, height, width = values.shape
        down, across = self._blocks
        parts = values.reshape(batch, features, down, height // down, across, width // across)
        return parts.permute(2, 4, 1, 0, 3, 5).reshape(down * across, features, -1)

    def _in_place(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """The way back of one value a place: [blocks, B x places of a block] -> [B, h, w]."""
        batch, _, height, width = shape
        down, across = self._blocks
        parts = values.reshape(down, across, batch, height // down, width // across)
        return parts.permute(2, 0, 3, 1, 4).reshape(batch, height, width)


class Tail(nn.Module):
    """Any map [B, h, w] -> the same in units: 0 where the oddest hundredth of a good picture's pixels begins, and one
    more for each time that these pixels' mean excess is added. Unchanged until it is fitted.
    """

    edge: Tensor
    excess: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("edge", torch.tensor(0.0))
        self.register_buffer("excess", torch.tensor(1.0))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.edge) / self.excess

    @torch.no_grad()
    def fit(self, values: Tensor) -> None:
        """From values of any shape of held-out good pictures."""
        edge = torch.quantile(values.flatten(), USUAL)
        beyond = values[values > edge]
        excess = (beyond - edge).mean() if beyond.numel() else torch.zeros_like(edge)
        self.edge.copy_(edge)
        self.excess.copy_(excess.clamp(min=LEAST_EXCESS))


class Normality(nn.Module):
    """logits [B, h, w], residual [B, C, h, w], image [B, C, H, W] -> log odds [B, h, w].

    The logits are the segmenter's, or those of the difference where there is none. The image has all its detail. Until
    it is fitted the odds are the same everywhere.

    Args:
        channels: C.
        size: (H, W) of the image.
        shrink: H / h and W / w.
        widths: standard deviations of the residual's blurs, as shares of the shorter side.
        pooled: one habit for all places (tiles, textures), instead of one for each.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], shrink: int, widths: Sequence[float], *, pooled: bool = False
    ) -> None:
        super().__init__()
        places = (size[0] // shrink, size[1] // shrink)
        self._widths = [width * min(places) for width in widths]
        self.filters = FilterBank(channels, size)
        self.residual = Habit(channels * len(widths), places, GRAIN, pooled=pooled)
        self.structure = Habit(self.filters.features, self.filters.places, STIR, pooled=pooled, levelled=not pooled)
        self.segmenter_tail, self.residual_tail, self.structure_tail = Tail(), Tail(), Tail()

    def forward(self, logits: Tensor, residual: Tensor, image: Tensor) -> Tensor:
        seen = self.witnesses(logits, residual, image)
        units = [weight * tail(odd) for weight, tail, odd in zip(WEIGHTS, self._tails, seen, strict=True)]
        return (torch.stack(units).sum(dim=0) - EVEN) / SOFT

    def witnesses(self, logits: Tensor, residual: Tensor, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How odd each place is to the segmenter, by the residual and by the filter bank, [B, h, w] each, no units."""
        structure = self.structure(self.filters(image))[:, None]
        enlarged = F.interpolate(structure, size=logits.shape[-2:], mode="bilinear", align_corners=False)
        return logits, self.residual(self._blurs(residual)), enlarged[:, 0]

    @torch.no_grad()
    def fit(
        self,
        residuals: Callable[[], Iterable[Tensor]],
        images: Callable[[], Iterable[Tensor]],
        held_out: Iterable[tuple[Tensor, Tensor, Tensor]],
        most: int,
    ) -> None:
        """Learn what is usual from good pictures.

        Memory: the sums of one habit in float64, and `PIXELS` values of each witness, however many pictures there are.

        Args:
            residuals: gives [C, h, w] of training pictures; called twice.
            images: gives [C, H, W] of the same; called twice.
            held_out: logits [1, h, w], residual [1, C, h, w] and image [1, C, H, W] of other good pictures; they set
                the units.
            most: how many held-out ones come at most.
        """
        self.residual.fit(lambda: (self._blurs(residual[None])[0] for residual in residuals()))
        self.structure.fit(lambda: (self.filters(image[None])[0] for image in images()))
        kept: list[list[Tensor]] = [[], [], []]
        for shown in held_out:
            for values, odd in zip(kept, self.witnesses(*shown), strict=True):
                values.append(odd.flatten()[:: max(1, most * odd.numel() // PIXELS)])
        for tail, values in zip(self._tails, kept, strict=True):
            tail.fit(torch.cat(values))

    @property
    def _tails(self) -> tuple[Tail, Tail, Tail]:
        """In the order of the witnesses."""
        return self.segmenter_tail, self.residual_tail, self.structure_tail

    def _blurs(self, residual: Tensor) -> Tensor:
        return torch.cat([blurred(residual, width) for width in self._widths], dim=1)


def _blocks(side: int) -> int:
    """Blocks along a side of so many places."""
    return side // math.gcd(side, BLOCK)
