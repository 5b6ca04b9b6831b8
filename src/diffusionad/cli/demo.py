"""`diffusionad demo`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.cli.judge import show_evaluation
from diffusionad.cli.screen import Screen
from diffusionad.cli.train import import_training
from diffusionad.data import find_samples
from diffusionad.demo import write_sample_set
from diffusionad.evaluation import evaluate
from diffusionad.inspector import Inspector

__all__ = ["demo"]


def demo(*, out: Path = Path("runs/demo"), seed: int = 0, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Do the main job on an embedded sample set: write it, train the preset tiny, calibrate, evaluate, report.

    Example: diffusionad demo --out runs/demo

    Args:
        out: Folder for everything.
        seed: Decides the pictures and the training.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    training = import_training()
    data = out / "sample_set"
    screen.line(f"Writing the sample set to {data}.")
    write_sample_set(data, seed)
    run = training.train(data, out / "run", preset="tiny", seed=seed, line=screen.line)
    result = evaluate(Inspector.load(run.bundle.folder), find_samples(data), out, data=str(data), line=screen.line)
    show_evaluation(screen, result, out)
    calibration = run.bundle.calibration
    screen.say(calibration.sentence() if calibration else "Not calibrated.")
    screen.say(
        f"\nNext, with your own pictures:\n  diffusionad train ./good --out runs/part --max-time 20m\n"
        f"  diffusionad predict {run.bundle.folder} {data / 'test'} --out {out / 'verdicts'}\n"
        f"  diffusionad info {run.bundle.folder}"
    )
    screen.result({"bundle": str(run.bundle.folder), "report": str(out / "report.html"), **asdict(result)})
    return 0
