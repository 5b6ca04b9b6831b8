"""Which method tells defective pictures from good ones best, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffusionad.benchmark.running import Row, folder_of
from diffusionad.benchmark.scoring import DRAWS
from diffusionad.rng import generator

__all__ = ["Place", "places"]


@dataclass(frozen=True, slots=True)
class Place:
    """Place by mean image AUROC over data sets and seeds, 1 is the best; `low` to `high` is its 95 % interval."""

    place: int
    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.place} ({self.low} to {self.high})"


def places(rows: Sequence[Row], folder: Path) -> dict[str, Place]:
    """The place of every method that was measured on all data sets and seeds.

    The interval is that over bootstrap samples of the test pictures, good and defective ones apart. A sample is the
    same pictures for all methods: two that fail on the same pictures stay in their order.

    Args:
        rows: of the benchmark.
        folder: its `rows`, with what each method said.
    """
    sets = list(dict.fromkeys((row.dataset, row.seed) for row in rows))
    by_method: dict[str, dict[tuple[str, int], NDArray[np.float64]]] = {}
    for row in rows:
        won = _wins(folder, row)
        if won is not None:
            by_method.setdefault(row.method, {})[row.dataset, row.seed] = won
    methods = [method for method, own in by_method.items() if len(own) == len(sets)]
    if not methods:
        return {}
    rng, whole, drawn = generator(0, "order"), np.zeros(len(methods)), np.zeros((len(methods), DRAWS))
    for one in sets:
        wins = [by_method[method][one] for method in methods]
        defective, good = wins[0].shape
        times = [rng.multinomial(count, np.full(count, 1 / count), DRAWS) for count in (defective, good)]
        for number, won in enumerate(wins):
            whole[number] += won.mean()
            drawn[number] += np.einsum("db,bg,dg->d", times[0], won, times[1], optimize=True) / won.size
    low, high = (np.quantile(_place(drawn), share, axis=1, method="nearest") for share in (0.025, 0.975))
    return {
        method: Place(int(place), int(low[number]), int(high[number]))
        for number, (method, place) in enumerate(zip(methods, _place(whole), strict=True))
    }


def _wins(folder: Path, row: Row) -> NDArray[np.float64] | None:
    """[defective, good]: whether the defective picture scores higher, one half where both score the same.

    None where the row failed, or was measured before the truth was kept beside its scores.
    """
    if row.image_auroc is None:
        return None
    stored = json.loads((folder_of(folder, row) / "scores.json").read_text(encoding="utf-8"))
    if "defective" not in stored:
        return None
    scores, defective = np.array(stored["scores"]), np.array(stored["defective"], dtype=np.bool_)
    apart = scores[defective][:, None] - scores[~defective]
    won: NDArray[np.float64] = np.heaviside(apart, 0.5)
    return won


def _place(figures: NDArray[np.float64]) -> NDArray[np.int64]:
    """[methods, ...] -> 1 and how many methods are better."""
    places: NDArray[np.int64] = 1 + (figures[None] > figures[:, None]).sum(axis=1)
    return places
