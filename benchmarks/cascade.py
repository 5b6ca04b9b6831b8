"""A quick detector first, a better one where it is unsure: python benchmarks/cascade.py DATA FIRST SECOND --to CSV.

FIRST and SECOND are bundles trained on DATA. A picture that scores lower than half of the good pictures held out from
FIRST is good by it; one that scores higher than all of them by the whole distance from their middle to its threshold is
anomalous by it; SECOND decides the others by its own threshold. Prints and stores what each alone and both together
reject and pass, and milliseconds a picture, means over the test pictures, in one run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from record import append, commit, cpu

from diffusionad.data import find_samples
from diffusionad.inspector import Inspector
from diffusionad.structures import Sample, Verdict

WARM_UP = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("first", type=Path)
    arguments.add_argument("second", type=Path)
    arguments.add_argument("--to", type=Path, required=True)
    given = arguments.parse_args()
    samples = [sample for sample in find_samples(given.data) if sample.split == "test"]
    stages = [Inspector.load(given.first), Inspector.load(given.second)]
    for stage in stages:
        for sample in samples[:WARM_UP]:
            stage(sample.path)
    alone = [[stage(sample.path) for sample in samples] for stage in stages]
    unsure = [_is_unsure(stages[0], verdict) for verdict in alone[0]]
    both = [alone[1][place] if unsure[place] else verdict for place, verdict in enumerate(alone[0])]
    first, second = (np.array([verdict.milliseconds for verdict in verdicts]) for verdicts in alone)
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "dataset": given.data.resolve().name,
        "first": _name(stages[0]),
        "second": _name(stages[1]),
        "unsure": f"{sum(unsure)}/{len(unsure)}",
        "first_ms": round(float(first.mean()), 2),
        "second_ms": round(float(second.mean()), 2),
        "cascade_ms": round(float((first + second * unsure).mean()), 2),
        **_counted("first", samples, alone[0]),
        **_counted("second", samples, alone[1]),
        **_counted("cascade", samples, both),
        "commit": commit(),
        "cpu": cpu(),
    }
    append(given.to, [row])
    print(row)


def _is_unsure(stage: Inspector, verdict: Verdict) -> bool:
    calibration = stage.bundle.calibration
    assert calibration is not None, "the first bundle has no threshold"
    middle, threshold = float(np.median(calibration.scores)), calibration.threshold
    return middle < verdict.score < 2 * threshold - middle


def _counted(stage: str, samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> dict[str, str]:
    found: dict[bool, list[bool]] = {True: [], False: []}
    for sample, verdict in zip(samples, verdicts, strict=True):
        found[sample.is_good].append(verdict.verdict == "anomalous")
    return {
        f"{stage}_false_alarms": f"{sum(found[True])}/{len(found[True])}",
        f"{stage}_escapes": f"{len(found[False]) - sum(found[False])}/{len(found[False])}",
    }


def _name(stage: Inspector) -> str:
    return f"{stage.bundle.config.preset}, {stage.fingerprint.runtime}"


if __name__ == "__main__":
    main()
