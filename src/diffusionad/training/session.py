"""One run in one process: the objects, what is saved, drawn and validated, and the loop around them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors.torch import load_file

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.config import Config, TrainingSettings
from diffusionad.data import resize, resize_mask
from diffusionad.detector import Detector
from diffusionad.errors import InterruptedRun
from diffusionad.files import file_hash, write_json
from diffusionad.training.data import GoodPictures
from diffusionad.training.habit import fit_normality
from diffusionad.training.loop import run
from diffusionad.training.machine import lay_out
from diffusionad.training.real import NO_DEFECTS, RealDefects
from diffusionad.training.state import Averaged, Progress, load_state, save_state, save_weights
from diffusionad.training.step import TrainingStep
from diffusionad.training.strip import with_foreground, write_strip
from diffusionad.training.validation import HeldOut, Score
from diffusionad.training.watch import Line, StopSignal, TrainingWatch

__all__ = ["Session"]


class Session:
    """Takes up the run in `folder`, or starts it.

    Args:
        fabric: launched.
        folder: the run's folder, this process's alone.
        config: the resolved settings.
        good: the pictures.
        textures: [H, W, 3] uint8 each.
        line: shows a line of text.
        real: defective pictures; they only train, and choose neither weights nor threshold.
        start: weights of a bundle to go on from; None: those that the seed draws.

    Raises:
        TrainingError: `folder` holds another run.
    """

    def __init__(
        self,
        fabric: Fabric,
        folder: Path,
        config: Config,
        good: GoodPictures,
        textures: Sequence[NDArray[np.uint8]],
        line: Line,
        real: RealDefects = NO_DEFECTS,
        start: Path | None = None,
    ) -> None:
        self._fabric, self._folder, self._config, self._line = fabric, folder, config, line
        self._state, self._best = folder / "state.safetensors", folder / "best.safetensors"
        self.weights = folder / "model.safetensors"
        self._key = _key(config, good, textures, real, start)
        self._good = good
        bare = config.bare  # normality is fitted when all else is done
        self._detector = build_detector(bare)
        if start is not None:
            wanted, given = self._detector.state_dict(), load_file(start)
            self._detector.load_state_dict({name: given[name] for name in wanted})
        lay_out(self._detector, fabric.device, config.denoiser.width)
        self._averaged = Averaged(self._detector, config.training.ema_images)
        self._optimizer = _optimizer(self._detector, config.training)
        self.progress = Progress()
        if self._state.exists():
            self.progress = load_state(self._state, self._detector, self._averaged, self._optimizer, self._key)
            line(f"Resuming after {self.progress.images} images.", False)
        if fabric.is_global_zero:
            write_json(folder / "config.json", config.model_dump(mode="json"))
        self._candidate = build_detector(bare).to(fabric.device).eval()
        training, chosen = good.training, good.validation
        held = build_pairs(config, chosen.pictures, chosen.foregrounds, textures, "validation", chosen.judged)
        self._held_out = HeldOut(held, max(16, min(48, 4 * len(chosen.pictures))))
        self._pairs = build_pairs(
            config, training.pictures, training.foregrounds, textures, "pair", training.judged, real.defects
        )
        named = [*(sample.path for sample in good.training.samples), *reversed(real.paths)]  # real ones: -1, -2 ...
        self._names = [str(path) for path in named]

    def fit(self) -> Score:
        """Train until the clock runs out; the held-out figures of the chosen networks. The whole detector is in
        `self.weights` then.

        Raises:
            InterruptedRun: SIGINT or SIGTERM; the state is saved.
            TrainingError: a loss is not finite.
            ResourceError: the disk is full.
        """
        bare = TrainingStep(self._detector, self._config.diffusion, self._config.loss)
        step, optimizer = self._fabric.setup(bare, self._optimizer)
        self._averaged.to(self._fabric.device)
        settings, progress = self._config.training, self.progress
        with StopSignal() as stop:
            self._watch = TrainingWatch(
                self._folder,
                settings,
                save=self._save,
                draw=self._draw,
                line=self._line,
                stop=lambda: stop.asked,
                leads=self._fabric.is_global_zero,
            )
            self._watch.event(images=progress.images, foreground=self._good.kind, reason=self._good.reason)
            done = run(
                self._fabric,
                step,
                optimizer,
                self._averaged,
                self._pairs,
                progress,
                settings,
                self._watch,
                self._validate,
                self._names.__getitem__,
            )
            if done and [progress.images] != [images for images, _ in progress.history[-1:]]:
                self._validate()
            self._save()
            self._draw()
        if not done:
            raise InterruptedRun(
                f"Stopped after {progress.images} images; all is saved in {self._folder}. "
                "Run the same command to resume."
            )
        self._fabric.barrier()
        self._complete()
        self._candidate.load_state_dict(load_file(self._best))
        return self._held_out.score(self._candidate, self._fabric.device)

    def _complete(self) -> None:
        """Fit the normality to the chosen weights, and write both to `self.weights`."""
        detector, good = build_detector(self._config).to(self._fabric.device).eval(), self._good
        detector.load_state_dict(detector.state_dict() | load_file(self._best))
        fit_normality(
            detector, good.training.shown(self._config), good.validation.shown(self._config), self._fabric.device
        )
        if self._fabric.is_global_zero:
            save_weights(self.weights, detector.state_dict())

    def _save(self) -> None:
        if self._fabric.is_global_zero:
            save_state(self._state, self._detector, self._averaged, self._optimizer, self.progress, self._key)

    def _draw(self) -> None:
        if self._fabric.is_global_zero:
            self._candidate.load_state_dict(self._averaged.tensors)
            path = self._folder / "strips" / f"{self.progress.images:08d}.png"
            chosen, shown = self._good.validation, self._held_out.shown
            foregrounds = {}
            for index in shown.indices:  # of tiles, the whole picture small
                picture, foreground = chosen.pictures[index], chosen.foregrounds[index]
                size = self._config.network_size
                where = None if foreground is None else resize_mask(foreground, size)
                foregrounds[index] = with_foreground(resize(picture, size), where)
            write_strip(
                path,
                self._candidate,
                shown,
                self._fabric.device,
                foregrounds,
                self._good.kind,
                logarithmic=self._config.data.brightness == "logarithmic",
            )

    def _validate(self) -> None:
        """Score the averaged weights on held-out pictures with planted defects; keep them when they are the best."""
        self._candidate.load_state_dict(self._averaged.tensors)
        score, progress = self._held_out.score(self._candidate, self._fabric.device), self.progress
        progress.validations += 1
        progress.history.append((progress.images, score.total))
        if score.total > progress.best_score:
            progress.best_score, progress.best_images = score.total, progress.images
            if self._fabric.is_global_zero:
                save_weights(self._best, self._averaged.tensors)
        figures = {"held_out_image_auroc": score.image_auroc, "held_out_pixel_ap": score.pixel_ap}
        self._watch.event(images=progress.images, **figures)
        self._line(
            f"{progress.images:>7} images  on planted defects: image AUROC {score.image_auroc:.4f}, "
            f"pixel AP {score.pixel_ap:.4f}",
            False,
        )


def _optimizer(detector: Detector, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW, a rate for each network."""
    groups: list[dict[str, Any]] = [
        {"params": list(network.parameters()), "base_rate": rate}
        for network, rate in (
            (detector.denoiser, settings.denoiser_rate),
            (detector.segmenter, settings.segmenter_rate),
        )
        if network is not None
    ]
    return torch.optim.AdamW(
        groups, lr=settings.denoiser_rate, betas=(0.9, settings.beta2), weight_decay=settings.decay, fused=True
    )


def _key(
    config: Config,
    good: GoodPictures,
    textures: Sequence[NDArray[np.uint8]],
    real: RealDefects,
    start: Path | None,
) -> str:
    """Names the run: another limit continues it, anything else that decides the weights does not."""
    free = {"images", "epochs", "max_seconds", "checkpoint_seconds", "strip_seconds"}
    digest = sha256((config.model_dump_json(exclude={"training": free}) + good.key + real.key).encode())
    if start is not None:
        digest.update(file_hash(start).encode())
    for texture in textures:
        digest.update(texture.tobytes())
    return digest.hexdigest()
