"""FAVAE: a variational autoencoder whose decoder also foretells features (Dehaene and Eline 2020, arXiv 2008.05369).

No package has it. The decoder is led to the features of a frozen extractor at three stages besides the picture; the
map is the squared error of those features, summed over the stages, and the score its maximum.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from diffusionad.benchmark.backbone import WIDTHS, extractor, read
from diffusionad.benchmark.methods import Settings
from diffusionad.structures import FloatMap
from diffusionad.training.state import save_weights

__all__ = ["Favae", "divergence"]

BATCH, EPOCHS, RATE, LATENT, SMOOTHING = 8, 100, 1e-3, 128, 4.0
STAGES = (1, 2, 3)
"""Of the extractor: strides 4, 8 and 16, as the decoder passes them."""


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(mean, exp(log_variance)) from N(0, 1): [B, ...] -> [B], summed over all but the first."""
    each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return each.flatten(1).sum(1)


class _Autoencoder(nn.Module):
    """pictures [B, 3, H, W] -> mean and log variance of the latent, the picture and the features of its sample."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 256)
        down: list[nn.Module] = []
        for given, made in zip((3, *widths), widths, strict=False):
            down += [nn.Conv2d(given, made, 4, 2, 1), nn.BatchNorm2d(made), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*down)
        self.latent = nn.Conv2d(widths[-1], 2 * LATENT, 4, 4)
        self.opened = nn.Sequential(nn.ConvTranspose2d(LATENT, 256, 4, 4), nn.BatchNorm2d(256), nn.LeakyReLU(0.2))
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(given, made, 4, 2, 1), nn.BatchNorm2d(made), nn.LeakyReLU(0.2))
            for given, made in ((256, 128), (128, 64), (64, 32))
        )
        self.picture = nn.ConvTranspose2d(32, 3, 4, 2, 1)
        # Strides 16, 8 and 4, in the order in which the decoder passes them.
        self.foretold = nn.ModuleList(
            nn.Conv2d(given, WIDTHS[stage], 1) for given, stage in zip((256, 128, 64), reversed(STAGES), strict=True)
        )

    def forward(self, pictures: Tensor, sampled: bool) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        mean, log_variance = self.latent(self.encoder(pictures)).chunk(2, dim=1)
        drawn = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if sampled else mean
        hidden = self.opened(drawn)
        features = [self.foretold[0](hidden)]
        for number, up in enumerate(self.ups):
            hidden = up(hidden)
            if number + 1 < len(self.foretold):
                features.append(self.foretold[number + 1](hidden))
        return mean, log_variance, self.picture(hidden), features[::-1]


class Favae:
    """The method. The working size must be a multiple of 64."""

    def __init__(self, settings: Settings) -> None:
        if any(side % 64 for side in settings.size):
            raise ValueError(f"FAVAE needs multiples of 64 pixels, not {settings.size}")
        self._settings = settings

    def fit(self, pictures: Sequence[Path]) -> None:
        torch.manual_seed(self._settings.seed)
        good = torch.stack([read(path, self._settings.size) for path in pictures])
        self._network = extractor(STAGES).eval().requires_grad_(False)
        self._model = _Autoencoder()
        optimizer = torch.optim.Adam(self._model.parameters(), RATE)
        begun = time.monotonic()
        for order in (torch.randperm(len(good)) for _ in range(EPOCHS)):
            for chosen in torch.split(order, BATCH):
                if time.monotonic() - begun >= self._settings.seconds or len(chosen) < 2:
                    break
                shown = good[chosen]
                mean, log_variance, again, foretold = self._model(shown, sampled=True)
                loss = mse_loss(again, shown) + divergence(mean, log_variance).mean() / shown[0].numel()
                for own, given in zip(foretold, self._network(shown), strict=True):
                    loss = loss + mse_loss(own, given)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        self._model.eval()
        save_weights(self._settings.out / "weights.safetensors", self._model.state_dict())

    @torch.inference_mode()
    def predict(self, path: Path) -> tuple[float, FloatMap]:
        shown = read(path, self._settings.size)[None]
        total = torch.zeros(1, 1, *self._settings.size)
        for own, given in zip(self._model(shown, sampled=False)[3], self._network(shown), strict=True):
            apart = (own - given).square().mean(1, keepdim=True)
            total += interpolate(apart, self._settings.size, mode="bilinear")
        found = np.asarray(gaussian_filter(total[0, 0].numpy(), SMOOTHING), np.float32)
        return float(found.max()), found
