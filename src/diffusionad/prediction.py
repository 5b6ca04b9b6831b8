"""Judging any number of pictures: one line a picture, written as it comes, in constant memory.

Reading, judging and writing overlap: the next picture is read, and the files of the last one are written, meanwhile.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
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

_BEHIND = 2
"""Verdicts whose files are still being written while the next pictures are judged."""

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
        pictures: files; taken as they are needed, by a thread of its own, at most two ahead.
        out: folder for the results.
        overlays: also draw what was found.
        maps: also keep out/maps/<number>_<name>.npy, the anomaly map [h, w] float32 of what was judged, so that regions
            can be found at another threshold. Of a tiled picture it is the whole map, 4 bytes a pixel.
        reconstructions: also keep out/reconstructions/<number>_<name>.png, what the part should look like, at working
            size; of a tiled picture reduced, see `Verdict`.
        group: of all pictures, where the calibration has groups; None: by the names of their folders.
        seen: called with every verdict once its line is written, in order, by the thread that writes.

    Raises:
        ResourceError: the disk is full; the lines written so far are kept.
    """
    counts: Counter[str] = Counter()
    wanted = _Wanted(out, overlays, maps, reconstructions, inspector.bundle.config.data.channels)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "verdicts.jsonl").open("w", encoding="utf-8") as lines, ThreadPoolExecutor(1) as writer:
            behind: deque[Future[None]] = deque()

            def settle(number: int, verdict: Verdict, view: View | None) -> None:
                files = _write(wanted, number, verdict, view)
                lines.write(json.dumps(as_record(verdict, files), allow_nan=False) + "\n")
                lines.flush()
                counts[verdict.verdict] += 1
                seen(verdict)

            for number, verdict in enumerate(inspector.stream(pictures, group, full_map=maps)):
                view = inspector.view(verdict.native_size) if verdict.anomaly_map is not None else None
                behind.append(writer.submit(settle, number, verdict, view))
                if len(behind) > _BEHIND:
                    behind.popleft().result()
            for written in behind:
                written.result()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(out / "verdicts.jsonl", error) from error
    return Counts(**{name: counts[name] for name in ("good", "review", "anomalous", "error")})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which files are written beside the lines, and where."""

    out: Path
    overlays: bool
    maps: bool
    reconstructions: bool
    channels: int | None


def _write(wanted: _Wanted, number: int, verdict: Verdict, view: View | None) -> dict[str, str | None]:
    """The files of one verdict, by what they are; `view` None: it has none."""
    files = dict[str, str | None]()
    if view is None or verdict.anomaly_map is None or verdict.reconstruction is None:
        return files
    source, out = Path(verdict.path), wanted.out
    name = f"{number:06d}_{source.stem[:80]}"
    if wanted.maps:
        files["map"] = f"maps/{name}.npy"
        write_bytes(out / f"maps/{name}.npy", _npy(view.shown(verdict.anomaly_map)))
    if wanted.reconstructions:
        files["reconstruction"] = f"reconstructions/{name}.png"
        write_bytes(out / f"reconstructions/{name}.png", encode(to_display(verdict.reconstruction), "png"))
    if wanted.overlays:
        _draw(out / "overlays" / f"{name}.png", source, verdict, view, wanted.channels)
    return files


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
