"""Judging any number of pictures: one line a picture, written as it comes, in constant memory."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from diffusionad.data import View, pooled, read_picture
from diffusionad.errors import PictureError
from diffusionad.files import refused, write_bytes
from diffusionad.inspector import Inspector
from diffusionad.report.pictures import encode, overlay, to_display
from diffusionad.report.records import as_record
from diffusionad.structures import FloatMap, Verdict
from diffusionad.sweeping import map_factor

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
    maps: bool = False,
    reconstructions: bool = False,
    group: str | None = None,
    seen: Callable[[Verdict], None] = lambda verdict: None,
) -> Counts:
    """Write out/verdicts.jsonl, a line a picture, and out/overlays/<number>_<name>.png; what is written stays.

    Args:
        inspector: the bundle, opened.
        pictures: files, taken one at a time.
        out: folder for the results.
        overlays: also draw what was found.
        maps: also keep out/maps/<number>_<name>.npy, the anomaly map [h, w] float32 of what was judged, so that regions
            can be found at another threshold. Of a tiled picture it is the whole map, 4 bytes a pixel.
        reconstructions: also keep out/reconstructions/<number>_<name>.png, what the part should look like, at working
            size; of a tiled picture reduced, see `Verdict`.
        group: of all pictures, where the calibration has groups; None: by the names of their folders.
        seen: called with every verdict.

    Raises:
        ResourceError: the disk is full; the lines written so far are kept.
    """
    counts: Counter[str] = Counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "verdicts.jsonl").open("w", encoding="utf-8") as lines:
            for number, path in enumerate(pictures):
                verdict = inspector(path, group, full_map=maps)
                counts[verdict.verdict] += 1
                name, files = f"{number:06d}_{path.stem[:80]}", dict[str, str | None]()
                if verdict.anomaly_map is not None and verdict.reconstruction is not None:
                    view = inspector.view(verdict.native_size)
                    if maps:
                        files["map"] = f"maps/{name}.npy"
                        write_bytes(out / f"maps/{name}.npy", _npy(view.shown(verdict.anomaly_map)))
                    if reconstructions:
                        shown = to_display(verdict.reconstruction)
                        files["reconstruction"] = f"reconstructions/{name}.png"
                        write_bytes(out / f"reconstructions/{name}.png", encode(shown, "png"))
                    if overlays:
                        channels = inspector.bundle.config.data.channels
                        _draw(out / "overlays" / f"{name}.png", path, verdict, view, channels)
                lines.write(json.dumps(as_record(verdict, files), allow_nan=False) + "\n")
                lines.flush()
                seen(verdict)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(out / "verdicts.jsonl", error) from error
    return Counts(**{name: counts[name] for name in ("good", "review", "anomalous", "error")})


def _npy(anomaly_map: FloatMap) -> bytes:
    stream = BytesIO()
    np.save(stream, anomaly_map, allow_pickle=False)
    return stream.getvalue()


def _draw(path: Path, source: Path, verdict: Verdict, view: View, channels: int | None) -> None:
    assert verdict.anomaly_map is not None  # noqa: S101  (the caller checked)
    assert verdict.reconstruction is not None  # noqa: S101  (comes with the map)
    try:
        shown = to_display(read_picture(source, channels=channels))
    except PictureError as error:  # it vanished since it was judged; its verdict stands
        _log.warning("No overlay was drawn. %s", error)
        return
    found = verdict.anomaly_map
    if found.shape != verdict.reconstruction.shape[:2]:  # the whole map of a tiled picture: nothing small may vanish
        found = pooled(found, map_factor(view.working))
    drawn = overlay(shown, view.shown(found), verdict.threshold, verdict.regions, seen=view.source, judged=view.inside)
    write_bytes(path, encode(drawn, "png"))
