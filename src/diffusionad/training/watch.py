"""What a person sees of a run: a live line, log.jsonl, picture strips; and when to save and when to stop."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from diffusionad.config import TrainingSettings
from diffusionad.files import refused
from diffusionad.training.state import Progress

__all__ = ["Line", "StopSignal", "TrainingWatch"]

Line = Callable[[str, bool], None]
"""Shows a line; True: the next one may overwrite it."""


class StopSignal:
    """Remembers SIGINT and SIGTERM, so that the step in hand is finished and saved; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignal:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._remember)
            except ValueError:  # not the main thread: signals are the caller's
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


class TrainingWatch:
    """Called after every step; does each thing when it is due.

    Args:
        folder: the run's folder, for log.jsonl.
        settings: how often to save and to draw.
        save: writes the state.
        draw: writes a picture strip.
        line: shows the live line.
        stop: asked to stop?
        leads: this process writes; the others of a distributed run only compute.
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings,
        *,
        save: Callable[[], None],
        draw: Callable[[], None],
        line: Line,
        stop: Callable[[], bool],
        leads: bool = True,
    ) -> None:
        self._log, self._settings = folder / "log.jsonl", settings
        self._save, self._draw, self._line, self.stop_asked, self._leads = save, draw, line, stop, leads
        now = time.monotonic()
        self._saved = self._drawn = self._logged = self._begun = now
        self._losses: list[tuple[float, float]] = []
        self._images_begun: int | None = None

    def after_step(self, progress: Progress, noise: float, mapped: float, rate: float, share: float) -> None:
        """Note one step; `share` is how far the run is, 0..1."""
        if not self._leads:
            return
        if self._images_begun is None:
            self._images_begun = progress.images
        self._losses.append((noise, mapped))
        now = time.monotonic()
        if now - self._logged >= 5:
            self._logged = now
            self._note(progress, rate, share)
        if now - self._drawn >= self._settings.strip_seconds:
            self._drawn = now
            self._draw()
        if now - self._saved >= self._settings.checkpoint_seconds:
            self._save()
            self._saved = time.monotonic()

    def event(self, **values: Any) -> None:
        """Append one JSON line to log.jsonl. Raises ResourceError (disk)."""
        if not self._leads:
            return
        try:
            with self._log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(values) + "\n")
        except OSError as error:
            raise refused(self._log, error) from error

    def _note(self, progress: Progress, rate: float, share: float) -> None:
        noise, mapped = (sum(values) / len(values) for values in zip(*self._losses, strict=True))
        self._losses.clear()
        per_second = (progress.images - (self._images_begun or 0)) / max(time.monotonic() - self._begun, 1e-9)
        left = progress.seconds * (1 - share) / max(share, 1e-6)
        self.event(
            images=progress.images,
            seconds=round(progress.seconds, 1),
            images_per_second=round(per_second, 2),
            noise_loss=round(noise, 6),
            map_loss=round(mapped, 6),
            rate=rate,
            share=round(share, 4),
        )
        self._line(
            f"{progress.images:>7} images  {per_second:5.1f}/s  noise {noise:.4f}  map {mapped:.4f}  "
            f"rate {rate:.1e}  {share:4.0%}  {left / 60:.1f} min left",
            True,
        )
