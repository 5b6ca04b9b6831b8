"""Whether promises hold: python benchmarks/coverage.py SET ... [--to results/coverage.csv] [--plot docs/coverage.svg].

Promised against realised share of false alarms, for many calibrations of each size:

    simulated   scores drawn uniformly, so that the share of good pictures above a threshold is known exactly. A promise
                depends on ranks alone, so any other law without ties gives the same; "with ties" has 40 values only.
    a set       good pictures of a data set. A third fits a `Habit` of the pictures at 64 x 64 pixels, no network; the
                others get scores and are split at random, again and again, into calibration and rest. The rest is
                finite: its share scatters, and `law` says how often it must exceed the promise (beta-binomial).

The rank of the threshold comes from `calibrate` for each n and share. "quantile" is what many programs do instead: the
(1 - share) quantile of the scores, without a promise. Nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from coverage_plot import draw
from numpy.typing import NDArray
from record import commit
from scipy.stats import beta, betabinom

from diffusionad.calibration import Calibration, calibrate, pictures_needed

COLUMNS = (
    "date",
    "source",
    "n",
    "rest",
    "rule",
    "requested",
    "sure",
    "promised",
    "draws",
    "mean",
    "worst_tenth",
    "broken",
    "law",
    "commit",
)
SHARES = (0.05, 0.02, 0.01, 0.005)
SIZES = (20, 50, 100, 200, 500, 1000)
SURE = 0.9
SIDE = 64
WIDTHS = (1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One rule at one size; `rank` counts from the largest score: 1 is the largest."""

    rule: str
    requested: float
    sure: float | None
    promised: float | None
    rank: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sets", nargs="*", type=Path)
    arguments.add_argument("--draws", type=int, default=10_000)
    arguments.add_argument("--to", type=Path, default=Path("results/coverage.csv"))
    arguments.add_argument("--plot", type=Path, default=Path("docs/coverage.svg"))
    given = arguments.parse_args()
    rows = [*simulated("simulated", given.draws, None), *simulated("with ties", given.draws, 40)]
    for data in given.sets:
        rows += real(data, given.draws)
    stamp = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "draws": given.draws, "commit": commit()}
    with given.to.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows({**stamp, **row} for row in rows)
    given.plot.write_text(draw(rows), encoding="utf-8")


def cases(n: int) -> Iterator[Case]:
    """What n pictures can promise, and the plain quantile beside it."""
    for share in SHARES:
        if n < pictures_needed(share):
            continue
        yield _case(calibrate(range(n), share), "split-conformal")
        if n >= pictures_needed(share, SURE):
            yield _case(calibrate(range(n), share, sure=SURE), "pac")
        yield Case("quantile", share, None, None, 0)


def _case(made: Calibration, rule: str) -> Case:
    assert made.kept
    return Case(rule, made.requested, made.sure, made.promised, made.n - round(made.threshold))


def thresholds(scores: NDArray[np.float64], case: Case) -> NDArray[np.float64]:
    """[D] of [D, n] calibration scores."""
    if case.rule == "quantile":
        quantiles: NDArray[np.float64] = np.quantile(scores, 1 - case.requested, axis=1)
        return quantiles
    place = scores.shape[1] - case.rank
    found: NDArray[np.float64] = np.partition(scores, place, axis=1)[:, place]
    return found


def simulated(source: str, draws: int, values: int | None) -> Iterator[dict[str, object]]:
    """Rows of drawn scores: uniform, or one of `values` equally frequent ones."""
    rng = np.random.default_rng(0)
    for n in SIZES:
        scores = rng.random((draws, n))
        if values is not None:
            scores = np.floor(scores * values) / values
        for case in cases(n):
            found = thresholds(scores, case)
            above = 1 - (found if values is None else (np.floor(found * values + 1e-9) + 1) / values)
            law = None
            if case.promised is not None and values is None:
                law = float(beta.sf(case.promised, case.rank, n + 1 - case.rank))
            yield row(source, n, None, case, above, law)


def real(data: Path, draws: int) -> Iterator[dict[str, object]]:
    """Rows of a data set's good pictures, split at random."""
    scores, rng = good_scores(data), np.random.default_rng(0)
    for n in SIZES:
        rest = len(scores) - n
        if rest < 20:
            return
        shuffled = rng.permuted(np.tile(scores, (draws, 1)), axis=1)
        for case in cases(n):
            above = (shuffled[:, n:] > thresholds(shuffled[:, :n], case)[:, None]).mean(axis=1)
            law = None
            if case.promised is not None:
                most = np.floor(case.promised * rest + 1e-9)
                law = float(betabinom.sf(most, rest, case.rank, n + 1 - case.rank))
            yield row(data.name, n, rest, case, above, law)


def row(
    source: str, n: int, rest: int | None, case: Case, above: NDArray[np.float64], law: float | None
) -> dict[str, object]:
    """One line of the results; `broken` is the share of draws in which more than the promise was called anomalous."""
    limit = case.requested if case.promised is None else case.promised
    return {
        "source": source,
        "n": n,
        "rest": rest,
        "rule": case.rule,
        "requested": case.requested,
        "sure": case.sure,
        "promised": None if case.promised is None else round(case.promised, 6),
        "mean": round(float(above.mean()), 6),
        "worst_tenth": round(float(np.quantile(above, 0.9)), 6),
        "broken": round(float((above > limit + 1e-12).mean()), 4),
        "law": None if law is None else round(law, 4),
    }


def good_scores(data: Path) -> NDArray[np.float64]:
    """Scores of two thirds of the good pictures by what the other third shows; no network, no defect."""
    import torch

    from diffusionad.blurring import blurred
    from diffusionad.data import find_samples, read_picture, resize
    from diffusionad.normality import GRAIN, Habit
    from diffusionad.report.pictures import to_display
    from diffusionad.scoring import image_score, top_k_for
    from diffusionad.tensors import to_image

    torch.set_num_threads(1)
    paths = [sample.path for sample in find_samples(data) if sample.is_good]
    order = np.random.default_rng(0).permutation(len(paths))
    images = [torch.from_numpy(to_image(to_display(resize(read_picture(paths[i]), (SIDE, SIDE))))) for i in order]
    features = [torch.cat([blurred(image[None], width) for width in WIDTHS], dim=1) for image in images]
    third = len(images) // 3
    habit = Habit(3 * len(WIDTHS), (SIDE, SIDE), GRAIN)
    habit.fit(lambda: (one[0] for one in features[:third]))
    top_k = top_k_for((SIDE, SIDE))
    with torch.no_grad():
        maps: Sequence[NDArray[np.float32]] = [torch.sigmoid(habit(one))[0].numpy() for one in features[third:]]
    return np.array([image_score(one, top_k) for one in maps])


if __name__ == "__main__":
    main()
