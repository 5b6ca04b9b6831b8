"""CutPaste: tell good pictures from two kinds of pasted ones, then a Gaussian (Li and others 2021, arXiv 2104.04015).

No package has it. The three-way variant of the paper with its patch sizes and optimiser; the score is the Mahalanobis
distance of the pooled features, the map its gradient, weighted and rectified as by Grad-CAM. Colours are jittered by
brightness and contrast alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import rotate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from diffusionad.benchmark.backbone import WIDTHS, extractor, read
from diffusionad.benchmark.methods import Settings
from diffusionad.rng import generator
from diffusionad.structures import FloatMap
from diffusionad.training.state import save_weights

__all__ = ["CutPaste", "cut_paste", "gaussian", "mahalanobis", "scar"]

Pixels = NDArray[np.float32]
BATCH, EPOCHS, RATE, DECAY = 16, 256, 0.03, 3e-5


def cut_paste(picture: Pixels, rng: Generator) -> Pixels:
    """[3, H, W] with a rectangle of 2 to 15 % of its area copied elsewhere; sides 0.3:1 to 3.3:1 (section 2.2)."""
    high, wide = picture.shape[1:]
    area = rng.uniform(0.02, 0.15) * high * wide
    ratio = rng.uniform(0.3, 1.0) if rng.random() < 0.5 else 1 / rng.uniform(0.3, 1.0)
    tall = min(high - 1, max(1, round(math.sqrt(area / ratio))))
    broad = min(wide - 1, max(1, round(math.sqrt(area * ratio))))
    return _paste(picture, _jittered(_cut(picture, tall, broad, rng), rng), np.ones((tall, broad), bool), rng)


def scar(picture: Pixels, rng: Generator) -> Pixels:
    """[3, H, W] with a strip of 2-16 x 10-25 pixels, turned by up to 45 degrees, copied elsewhere (section 2.3)."""
    broad, tall = int(rng.integers(2, 17)), int(rng.integers(10, 26))
    patch, angle = _jittered(_cut(picture, tall, broad, rng), rng), rng.uniform(-45, 45)
    turned = rotate(patch, angle, axes=(1, 2), order=1, mode="nearest").astype(np.float32)
    inside = rotate(np.ones((tall, broad), np.float32), angle, order=1) > 0.5
    return _paste(picture, turned, inside, rng)


def _cut(picture: Pixels, tall: int, broad: int, rng: Generator) -> Pixels:
    top, left = (
        rng.integers(0, whole - part + 1) for whole, part in zip(picture.shape[1:], (tall, broad), strict=True)
    )
    return picture[:, top : top + tall, left : left + broad]


def _jittered(patch: Pixels, rng: Generator) -> Pixels:
    shift, gain = rng.uniform(-0.1, 0.1), rng.uniform(0.9, 1.1)
    mean = patch.mean(axis=(1, 2), keepdims=True)
    return np.asarray((patch - mean) * gain + mean + shift, np.float32)


def _paste(picture: Pixels, patch: Pixels, inside: NDArray[np.bool_], rng: Generator) -> Pixels:
    tall, broad = inside.shape
    top, left = (
        rng.integers(0, whole - part + 1) for whole, part in zip(picture.shape[1:], (tall, broad), strict=True)
    )
    changed = picture.copy()
    changed[:, top : top + tall, left : left + broad][:, inside] = patch[:, inside]
    return changed


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [C] and inverse covariance [C, C] of [N, C]; a hundredth of the mean variance is added to its diagonal."""
    mean, apart = features.mean(0), features - features.mean(0)
    covariance = apart.T @ apart / max(1, len(features) - 1)
    held = torch.eye(len(mean), dtype=features.dtype) * covariance.diagonal().mean() * 0.01
    return mean, torch.linalg.inv(covariance + held)


def mahalanobis(features: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """Half the squared distance [N] of [N, C], which is -log p less a constant (Eq. 3)."""
    apart = features - mean
    return 0.5 * (apart @ inverse * apart).sum(1)


class CutPaste:
    """The method."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, pictures: Sequence[Path]) -> None:
        torch.manual_seed(self._settings.seed)
        rng, size = generator(self._settings.seed, "planted"), self._settings.size
        good = np.stack([read(path, size).numpy() for path in pictures])
        self._network = extractor((4,))
        head = nn.Sequential(nn.Linear(WIDTHS[4], 128), nn.ReLU(), nn.Linear(128, 3))
        weights = [*self._network.parameters(), *head.parameters()]
        steps = EPOCHS * math.ceil(len(good) / BATCH)
        optimizer = torch.optim.SGD(weights, RATE, momentum=0.9, weight_decay=DECAY)
        begun = time.monotonic()
        self._network.train()
        for step in range(steps):
            done = max(step / steps, (time.monotonic() - begun) / self._settings.seconds)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * done))
            chosen = good[rng.integers(0, len(good), BATCH)]
            kinds = [chosen, *(np.stack([change(one, rng) for one in chosen]) for change in (cut_paste, scar))]
            answers = head(self._pooled(torch.from_numpy(np.concatenate(kinds)))[0])
            loss = cross_entropy(answers, torch.arange(3).repeat_interleave(BATCH))  # Eq. 2
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        self._network.eval()
        with torch.inference_mode():
            features = torch.cat([self._pooled(torch.from_numpy(one[None]))[0] for one in good])
        self._mean, self._inverse = (one.clone() for one in gaussian(features.double()))
        save_weights(self._settings.out / "weights.safetensors", self._network.state_dict())

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        pooled, spread = self._pooled(read(path, self._settings.size)[None])
        score = mahalanobis(pooled.double(), self._mean, self._inverse)[0]
        (slope,) = torch.autograd.grad(score, spread)
        heat = (slope.mean(dim=(2, 3), keepdim=True) * spread).sum(1, keepdim=True).relu()
        shown = interpolate(heat.detach(), self._settings.size, mode="bilinear")[0, 0]
        return float(score), shown.numpy().astype(np.float32)

    def _pooled(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, C], and the places [B, C, h, w] they are the mean of."""
        (spread,) = self._network(pictures)
        return spread.mean(dim=(2, 3)), spread
