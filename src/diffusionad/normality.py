"""What good pictures usually show, and how far a picture lies from that: the part of the map that knows no defects.

Five witnesses say how odd each place is. The segmenter has seen planted defects. The residual tells what the
reconstruction changed; as one is never perfect, edges and print leave a residual on every good part. The filter bank
tells which edges, lines and colours the picture itself shows, at twice the detail of the networks or more. The context,
the segmenter's coarsest features, tells in what surroundings. These three are judged by the habit of each place: mean
and covariance over good training pictures, and Mahalanobis's distance from them. The statistics are PaDiM's (Defard et
al. 2021, section 3), of what is learned here instead of pretrained features. The textons judge the filter bank by what
good pictures show anywhere. Then each witness is put into one unit, how much further it goes than on held-out good
pictures, and their mean decides, in which filter bank and textons count twice as much as the segmenter and the others
little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from diffusionad.blurring import blurred, resized
from diffusionad.filters import FilterBank
from diffusionad.textons import FLOOR, Textons, middle

__all__ = ["Evidence", "Habit", "Normality", "Tail"]

GRAIN = 0.01
"""Standard deviation added to every residual, on the [-1, 1] scale: about one grey level of 256."""

STIR = 0.05
"""Standard deviation added to the responses of the filter bank, most of which are logarithms."""

SWAY = 0.1
"""The same of the context."""

BLOCK = 4
"""Places a side that share one covariance: parts never lie exactly, and few pictures tell few numbers."""

USUAL = 0.99
"""Share of the pixels of held-out good pictures that are no further out than 0 units."""

PIXELS = 1 << 20
"""Pixels of held-out pictures that set the unit, at most."""

LEAST_EXCESS = 0.05
"""A unit is never smaller, in log odds or log distance."""

WEIGHTS = (0.28, 0.09, 0.37, 0.19, 0.07)
"""Of segmenter, residual, filter bank, textons and context in the mean."""

EVEN, SOFT = 4.0, 3.0
"""Units at which the map is one half, and units that multiply its odds by e: good pictures stay dark."""


class Evidence(NamedTuple):
    """What the networks say of a batch of images.

    Attributes:
        logits: [B, h, w], the segmenter's, or those of the difference where there is none.
        residual: [B, C, h, w], what the reconstruction changed.
        context: [B, F, h', w'], the segmenter's coarsest features; None where there is none.
    """

    logits: Tensor
    residual: Tensor
    context: Tensor | None = None


class Habit(nn.Module):
    """features [B, F, h, w] -> log distance [B, h, w] from what is usual at each place.

    Args:
        features: F.
        places: (h, w).
        stir: standard deviation added to every feature.
        pooled: one mean and covariance for all places, instead of a mean for each and a covariance for each `BLOCK`.
        levelled: first take from a picture by how much most of it differs: its light and its contrast are its own.
    """

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
        self._stir = stir
        self._blocks = (1, 1) if pooled else (_blocks(places[0]), _blocks(places[1]))
        self._pooled, self._levelled = pooled, levelled
        self.register_buffer("mean", torch.zeros(features, *((1, 1) if pooled else places)))
        self.register_buffer("whitening", torch.zeros(self._blocks[0] * self._blocks[1], features, features))

    def forward(self, features: Tensor) -> Tensor:
        whitened = self.whitening @ self._in_blocks(self._apart(features, self.mean))
        return self._in_place(0.5 * torch.log(whitened.square().mean(dim=1) + FLOOR), features.shape)

    @torch.no_grad()
    def fit(self, pictures: Callable[[], Iterable[Tensor]]) -> None:
        """Learn from the features [F, h, w] of good pictures, taken one at a time, twice.

        The covariance of a block is drawn towards that of the whole picture, the more the fewer pictures there are.
        """
        count, total = 0, torch.zeros((), dtype=torch.float64)
        for picture in pictures():
            count, total = count + 1, total + self._gathered(picture.double())
        mean = total / count
        within = torch.zeros((), dtype=torch.float64)
        for picture in pictures():
            here = self._in_blocks(self._apart(picture.double()[None], mean))
            within = within + here @ here.transpose(1, 2) / here.shape[2] / count
        share = len(mean) / (len(mean) + count)
        noise = self._stir**2 * torch.eye(len(mean)).to(within)
        covariance = torch.lerp(within, within.mean(dim=0).expand_as(within), share) + noise
        # C = L L^T, whitening L^-1: |L^-1 d|^2 = d^T C^-1 d
        lower = torch.linalg.cholesky(covariance)
        one = torch.eye(len(mean)).to(lower).expand_as(lower)
        self.mean.copy_(mean)
        self.whitening.copy_(torch.linalg.solve_triangular(lower, one, upper=False))

    def _apart(self, features: Tensor, mean: Tensor) -> Tensor:
        """[B, F, h, w] less what is usual at each place and, where levelled, the middle of what then is left of each
        picture.
        """
        apart = features - mean
        return apart - middle(apart) if self._levelled else apart

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
    """Evidence and image [B, C, H, W], which has all its detail -> log odds [B, h, w].

    Until it is fitted the odds are the same everywhere.

    Args:
        channels: C.
        size: (H, W) of the image.
        shrink: H / h and W / w.
        widths: standard deviations of the residual's blurs, as shares of the shorter side.
        context: features and places (h', w') of the context; None: there is none.
        pooled: one habit for all places (tiles, textures), instead of one for each.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        shrink: int,
        widths: Sequence[float],
        context: tuple[int, tuple[int, int]] | None = None,
        *,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        places = (size[0] // shrink, size[1] // shrink)
        self._widths = [width * min(places) for width in widths]
        self.filters = FilterBank(channels, size)
        self.residual = Habit(channels * len(widths), places, GRAIN, pooled=pooled)
        self.structure = Habit(self.filters.features, self.filters.places, STIR, pooled=pooled, levelled=not pooled)
        self.textons = Textons(self.filters.features, self.filters.places, STIR, levelled=not pooled)
        self.context: Habit | None = Habit(*context, SWAY, pooled=pooled) if context else None
        self.tails = nn.ModuleList(Tail() for _ in WEIGHTS[: 5 if context else 4])

    def forward(self, evidence: Evidence, image: Tensor) -> Tensor:
        units = self.units(evidence, image)
        weights = WEIGHTS[: len(units)]
        mean = torch.stack([weight * unit for weight, unit in zip(weights, units, strict=True)]).sum(dim=0)
        return (mean / sum(weights) - EVEN) / SOFT

    def units(self, evidence: Evidence, image: Tensor) -> list[Tensor]:
        """How odd each place is to each witness, in the order of `WEIGHTS`, [B, h, w] each, in units."""
        return [tail(odd) for tail, odd in zip(self.tails, self._witnesses(evidence, image), strict=True)]

    def _witnesses(self, evidence: Evidence, image: Tensor) -> list[Tensor]:
        """The same without units."""
        logits, residual, context = evidence
        size = (logits.shape[-2], logits.shape[-1])
        features = self.filters(image)
        seen = [logits, self.residual(self._blurs(residual))]
        seen.extend(resized(judge(features), size) for judge in (self.structure, self.textons))
        if self.context is not None and context is not None:
            seen.append(resized(self.context(context), size))
        return seen

    @torch.no_grad()
    def fit(
        self,
        training: Callable[[], Iterable[Evidence]],
        images: Callable[[], Iterable[Tensor]],
        held_out: Iterable[tuple[Evidence, Tensor]],
        most: int,
    ) -> None:
        """Learn what is usual from good pictures.

        Memory: the sums of one habit in float64, `PIXELS` values of each witness, however many pictures there are, and
        of every training picture its context, about 16 kB, then its reduced features, twice about 200 kB.

        Args:
            training: gives the evidence of training pictures, a batch of one each; called twice.
            images: gives [C, H, W] of the same; called twice.
            held_out: evidence and image [1, C, H, W] of other good pictures; they set the units.
            most: how many held-out ones come at most.
        """
        contexts: list[Tensor] = []

        def residuals() -> Iterator[Tensor]:
            contexts.clear()
            for evidence in training():
                if evidence.context is not None:
                    contexts.append(evidence.context[0])
                yield self._blurs(evidence.residual)[0]

        self.residual.fit(residuals)
        if self.context is not None:
            self.context.fit(lambda: contexts)
        contexts.clear()
        cells: list[Tensor] = []

        def structures() -> Iterator[Tensor]:
            cells.clear()
            for image in images():
                features = self.filters(image[None])
                cells.append(self.textons.reduced(features)[0].flatten(1).T)
                yield features[0]

        self.structure.fit(structures)
        self.textons.fit(torch.cat(cells))
        kept: list[list[Tensor]] = [[] for _ in self.tails]
        for shown in held_out:
            for values, odd in zip(kept, self._witnesses(*shown), strict=True):
                values.append(odd.flatten()[:: max(1, most * odd.numel() // PIXELS)])
        for tail, values in zip(self.tails, kept, strict=True):
            cast("Tail", tail).fit(torch.cat(values))

    def _blurs(self, residual: Tensor) -> Tensor:
        return torch.cat([blurred(residual, width) for width in self._widths], dim=1)


def _blocks(side: int) -> int:
    """Blocks along a side of so many places."""
    return side // math.gcd(side, BLOCK)
