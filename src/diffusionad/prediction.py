"""Judging any number of pictures: one line a picture, written as it comes, in constant memory."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from diffusionad.data import View, read_picture
from diffusionad.errors import PictureError
from diffusionad.files import refused, write_bytes
from diffusionad.inspector import Inspector
from diffusionad.report.pictures import encode, overlay, to_display
from diffusionad.report.records import as_record
from diffusionad.structures import Verdict

__all__ = ["Counts", "predict"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many pictures got which verdict."""

    good: int
    review: int
    anomalous: int
    error: int

    @property
    def total(self) -> int:
        return self.good + self.review + self.anomalous + self.error

    @property
    def exit_code(self) -> int:
        """3 when a picture could not be judged, else 1 when one is anomalous or to be reviewed, else 0."""
        return 3 if self.error else 1 if self.anomalous or self.review else 0


def predict(
    inspector: Inspector,
    pictures: Iterable[Path],
    out: Path,
    *,
    overlays: bool = True,
    seen: Callable[[Verdict], None] = lambda verdict: None,
) -> Counts:
    """Write out/verdicts.jsonl, a line a picture, and out/overlays/<number>_<name>.png; what is written stays.

    Args:
        inspector: the bundle, opened.
        pictures: files, taken one at a time.
        out: folder for the results.
        overlays: also draw what was found.
        seen: called with every verdict.

    Raises:
        ResourceError: the disk is full; the lines written so far are kept.
    """
    counts: Counter[str] = Counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "verdicts.jsonl").open("w", encoding="utf-8") as lines:
            for number, path in enumerate(pictures):
                verdict = inspector(path)
                counts[verdict.verdict] += 1
                lines.write(json.dumps(as_record(verdict), allow_nan=False) + "\n")
                lines.flush()
                if overlays and verdict.anomaly_map is not None:
                    view = inspector.view(verdict.native_size)
                    _draw(out / "overlays" / f"{number:06d}_{path.stem[:80]}.png", path, verdict, view)
                seen(verdict)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(out / "verdicts.jsonl", error) from error
    return Counts(**{name: counts[name] for name in ("good", "review", "anomalous", "error")})


def _draw(path: Path, source: Path, verdict: Verdict, view: View) -> None:
    assert verdict.anomaly_map is not None  # noqa: S101  (the caller checked)
    try:
        shown, found = to_display(read_picture(source)), view.shown(verdict.anomaly_map)
    except PictureError as error:  # it vanished since it was judged; its verdict stands
        _log.warning("No overlay was drawn. %s", error)
        return
    drawn = overlay(shown, found, verdict.threshold, verdict.regions, seen=view.source)
    write_bytes(path, encode(drawn, "png"))
