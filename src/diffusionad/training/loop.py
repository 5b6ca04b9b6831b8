"""The training loop: fits on a screen and counts images. Logging, saving and validating are calls."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from diffusionad.config import TrainingSettings
from diffusionad.errors import TrainingError
from diffusionad.losses import total_loss
from diffusionad.pairs import Batch, PairMaker
from diffusionad.training.state import Averaged, Progress

__all__ = ["Clock", "Watch", "rate_at", "run", "tensors_of"]


class Watch(Protocol):
    """What the loop calls; see `training.watch`."""

    def after_step(self, progress: Progress, noise: float, mapped: float, rate: float, share: float) -> None: ...
    def stop_asked(self) -> bool: ...


@dataclass(slots=True)
class Clock:
    """How far a run is, 0..1, by images or by time, whichever ends first.

    `settings.images` makes a run repeatable to the bit; `settings.max_seconds` ends it by the wall clock.
    """

    settings: TrainingSettings
    fabric: Fabric

    def share(self, progress: Progress) -> float:
        """Share of the run that is done; the same on every process."""
        by_images = progress.images / self.settings.images if self.settings.images else 0.0
        by_time = progress.seconds / self.settings.max_seconds if self.settings.max_seconds else 0.0
        return self.agreed(max(by_images, by_time))

    def agreed(self, value: float) -> float:
        """The first process's value, so that all of them go on and stop together."""
        return float(self.fabric.broadcast(value)) if self.fabric.world_size > 1 else value


def rate_at(share: float, images: int, warmup_images: int, constant: bool = False) -> float:
    """Factor of the learning rates: linear warm-up in images, then half a cosine over the run, or 1."""
    warm = min(1.0, (images + 1) / warmup_images) if warmup_images else 1.0
    return warm if constant else warm * max(0.5 * (1 + math.cos(math.pi * min(share, 1.0))), 0.01)


def run(
    fabric: Fabric,
    step: nn.Module,
    optimizer: torch.optim.Optimizer,
    averaged: Averaged,
    pairs: PairMaker,
    progress: Progress,
    settings: TrainingSettings,
    watch: Watch,
    validate: Callable[[], None],
    name_of: Callable[[int], str],
) -> bool:
    """Train until the clock runs out (True) or a stop is asked for (False); everything given is changed in place.

    Raises:
        TrainingError: a loss is not finite; names the pictures of the batch.
    """
    clock = Clock(settings, fabric)
    batch, each = settings.batch, settings.batch // fabric.world_size
    mine = slice(fabric.global_rank * each, (fabric.global_rank + 1) * each)
    batches = _drawn(pairs, progress.images, batch, ahead=fabric.device.type != "cpu")
    started = time.monotonic() - progress.seconds
    while (share := clock.share(progress)) < 1:
        drawn = next(batches)
        factor = rate_at(share, progress.images, settings.warmup_images, constant=settings.rates == "constant")
        for group in optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
        noise, mapped = step(**tensors_of(drawn, mine, fabric.device))
        loss = total_loss(noise, mapped)
        if not math.isfinite(loss.item()):
            names = ", ".join(name_of(int(index)) for index in drawn.indices)
            raise TrainingError(
                f"The loss is not finite after {progress.images} images (noise {noise.item()}, map {mapped.item()}). "
                f"The batch was: {names}. The last good state is kept; lower training.denoiser_rate or look at these.",
                code="training.not_finite",
            )
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(step, optimizer, max_norm=settings.clip)
        optimizer.step()
        progress.images, progress.steps = progress.images + batch, progress.steps + 1
        averaged.update(_inner(step).detector, batch, progress.steps)
        progress.seconds = time.monotonic() - started
        watch.after_step(progress, noise.item(), mapped.item(), optimizer.param_groups[0]["lr"], share)
        if clock.share(progress) * settings.validations >= progress.validations + 1:
            validate()
            progress.seconds = time.monotonic() - started
        if clock.agreed(watch.stop_asked()):
            return False
    return True


def _drawn(pairs: PairMaker, start: int, batch: int, *, ahead: bool) -> Iterator[Batch]:
    """The batches from `start` images on.

    Args:
        ahead: while a step computes, a second thread draws what the next one needs. Where the step itself keeps all
            processors busy, each of its layers would wait for the one that draws.
    """
    places = itertools.count(start, batch)
    if not ahead:
        yield from (pairs.batch(place, batch) for place in places)
        return
    with ThreadPoolExecutor(1, "pairs") as thread:
        coming = thread.submit(pairs.batch, next(places), batch)
        for place in places:
            drawn, coming = coming.result(), thread.submit(pairs.batch, place, batch)
            yield drawn


def tensors_of(batch: Batch, mine: slice, device: torch.device) -> dict[str, Tensor]:
    """This process's share of a batch, as the training step's arguments. Synthetic samples are spread evenly, so every
    process gets as many normal ones as the others and the mean of their losses is the loss of the whole batch.
    """

    def tensor(values: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return {
        "image": tensor(batch.image[mine]),
        "clean": tensor(batch.clean[mine]),
        "true_mask": tensor(batch.true_mask[mine]),
        "is_normal": tensor(batch.is_normal[mine]),
        "is_clean_known": tensor(batch.is_clean_known[mine]),
        "is_outlined": tensor(batch.is_outlined[mine]),
        "noise": tensor(batch.noise[:, mine]),
        "time": tensor(batch.time[:, mine]),
    }


def _inner(step: nn.Module) -> Any:
    """The training step inside whatever wraps it."""
    inner: Any = step
    while hasattr(inner, "module"):
        inner = inner.module
    return inner
