"""One method on one data set, in a process of its own: python -m diffusionad.benchmark.worker JOB.

JOB is a JSON file; what came of it is written beside it: answers.json, and a map of every picture in maps/. It ends
when its standard input does, which is when whoever started it is gone.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from diffusionad.benchmark.methods import Settings, Spec, make
from diffusionad.files import write_json
from diffusionad.structures import FloatMap

__all__ = ["main"]

WARM_UP = 3


def main(job: Path) -> None:
    """Fit, then predict every picture twice over the first few, which do not count for time."""
    logging.disable(logging.WARNING)
    asked, folder = json.loads(job.read_text(encoding="utf-8")), job.parent
    size = (asked["size"][0], asked["size"][1])
    model, maps = folder / "model", folder / "maps"
    model.mkdir()
    maps.mkdir()
    textures = Path(asked["textures"]) if asked["textures"] else None
    settings = Settings(asked["seed"], size, asked["seconds"], model, folder / "work", textures)
    method = make(Spec(**asked["spec"]), settings)
    begun = time.perf_counter()
    method.fit([Path(path) for path in asked["fit"]])
    fit_seconds = time.perf_counter() - begun
    disk = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    for path in asked["test"][:WARM_UP]:
        method.predict(Path(path))
    scores, milliseconds = [], []
    for number, path in enumerate([*asked["held_out"], *asked["test"]]):
        begun = time.perf_counter()
        score, anomaly_map = method.predict(Path(path))
        milliseconds.append(1e3 * (time.perf_counter() - begun))
        if not np.isfinite(score):
            raise SystemExit(f"the score of {path} is not finite")
        scores.append(float(score))
        np.save(maps / f"{number:06d}.npy", _at(anomaly_map, size))
        if len(scores) == len(asked["held_out"]) > 1 and len(set(scores)) == 1:
            raise SystemExit(f"all {len(scores)} held-out good pictures score {scores[0]:.6g}: it has learned nothing")
    write_json(
        folder / "answers.json",
        {
            "scores": scores,
            "milliseconds": milliseconds,
            "fit_seconds": fit_seconds,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "disk_mb": disk / 1e6,
        },
    )


def _at(anomaly_map: FloatMap, size: tuple[int, int]) -> FloatMap:
    """Any map at one size (H, W), bilinear; values as they are."""
    if anomaly_map.shape == size:
        return np.asarray(anomaly_map, np.float32)
    picture = Image.fromarray(np.ascontiguousarray(anomaly_map, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32)


def _end_with_input() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    main(Path(sys.argv[1]))
