"""Checks for pictures that are there twice: the same bytes, or nearly the same look, within a split and across."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.doctor.findings import Finding, Seen, Severity, counted
from diffusionad.doctor.looking import SIDE, Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["difference_hash", "find_contradictions", "find_copies", "find_near_copies"]

_BITS = 8
"""Bits of 64 in which the difference hashes of near copies may differ."""
_LEVELS = 2.5
"""Mean grey levels of 0..255 by which the thumbnails of near copies may differ."""
_SHARE = 0.15
"""The same, as a share of how much two pictures of the set usually differ: in a fixture, all look alike."""
_SAMPLED = 100
_CELLS = 8


def find_copies(seen: Seen) -> Iterator[Finding]:
    """The same file content more than once: across train and test, which is a leak, or within one of them."""
    groups = list(_same_content(seen.looks))
    leaks = [group for group in groups if _crosses(group)]
    inside = [group for group in groups if not _crosses(group)]
    if leaks:
        test = sum(look.sample.split == "test" for group in leaks for look in group)
        yield _finding(
            "duplicate.leak",
            "broken",
            f"{counted(test, 'test picture')} also in train, byte for byte: figures would be too good.",
            "Delete them from one of the two, best from train.",
            leaks,
        )
    if inside:
        extra = sum(len(group) - 1 for group in inside)
        yield _finding(
            "duplicate.exact",
            "risk",
            f"{counted(extra, one='is a copy', many='are copies')} of another one of the same split, byte for byte: "
            "copies weigh double, and a copy held back is no check.",
            "Keep one of each.",
            inside,
        )


def find_contradictions(seen: Seen) -> Iterator[Finding]:
    """The same file content once as good and once as defective."""
    groups = [
        group
        for group in _same_content(seen.looks)
        if any(look.sample.is_good != group[0].sample.is_good for look in group)
    ]
    if groups:
        yield _finding(
            "label.contradiction",
            "broken",
            f"{counted(len(groups))} both good and defective, byte for byte.",
            "Look at them and delete the wrong copy.",
            groups,
        )


def find_near_copies(seen: Seen) -> Iterator[Finding]:
    """Pictures that look the same though their bytes differ: saved again, or shot twice."""
    first = {look.digest: look for look in reversed(seen.looks)}
    groups = list(_same_look([look for look in seen.looks if first[look.digest] is look]))
    leaks = [group for group in groups if _crosses(group)]
    inside = [group for group in groups if not _crosses(group)]
    if leaks:
        test = sum(look.sample.split == "test" for group in leaks for look in group)
        yield _finding(
            "near.leak",
            "risk",
            f"{counted(test, 'test picture', one='looks', many='look')} like training pictures: "
            "saved again, or the same part shot twice. Figures may be too good.",
            "Look at them; keep all pictures of one part in one of train and test.",
            leaks,
        )
    if inside:
        extra = sum(len(group) - 1 for group in inside)
        yield _finding(
            "near.copy",
            "note",
            f"{counted(extra, one='looks', many='look')} like another one of the same split: "
            "saved again, or the same part shot twice.",
            "Look at them; keep one of each unless they are different parts.",
            inside,
        )


def difference_hash(thumbnail: NDArray[np.uint8]) -> int:
    """64 bits: in each of 8 rows of 9 cells, whether the next cell to the right is lighter."""
    grey = thumbnail.astype(np.float32).mean(axis=2)
    rows = grey.reshape(_CELLS, SIDE // _CELLS, SIDE).mean(axis=1)
    edges = np.linspace(0, SIDE, _CELLS + 2).astype(int)
    cells = np.add.reduceat(rows, edges[:-1], axis=1) / np.diff(edges)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")


def _same_content(looks: Sequence[Look]) -> Iterator[list[Look]]:
    groups: dict[str, list[Look]] = defaultdict(list)
    for look in looks:
        groups[look.digest].append(look)
    return (group for group in groups.values() if len(group) > 1)


def _same_look(looks: Sequence[Look]) -> Iterator[list[Look]]:
    """Groups of pictures whose hashes and thumbnails nearly agree, chained."""
    limit = min(_LEVELS, _SHARE * _usual_difference(looks))
    if limit <= 0:  # all the same, which is another finding
        return iter(())
    hashes = np.array([difference_hash(look.thumbnail) for look in looks], np.uint64)
    sparse = np.stack([_sparse(look.thumbnail) for look in looks])
    joined = list(range(len(looks)))
    for index, look in enumerate(looks):
        others = np.flatnonzero(np.bitwise_count(hashes[index + 1 :] ^ hashes[index]) <= _BITS) + index + 1
        # A few pixels rule out most pairs at little cost; what saving again changes is spread over all of them.
        apart = np.abs(sparse[others] - sparse[index]).sum(axis=1) / sparse.shape[1]
        others = others[apart <= 2 * limit]
        for other in others.tolist():
            if _difference(look, looks[other]) <= limit:
                joined[_root(joined, other)] = _root(joined, index)
    groups: dict[int, list[Look]] = defaultdict(list)
    for index, look in enumerate(looks):
        groups[_root(joined, index)].append(look)
    return (group for group in groups.values() if len(group) > 1)


def _usual_difference(looks: Sequence[Look]) -> float:
    """Median difference of two pictures of the set, mean grey levels; from at most 100 pictures, spread evenly."""
    if len(looks) < 2:
        return 0.0
    some = looks[:: -(-len(looks) // _SAMPLED)] if len(looks) > _SAMPLED else looks
    return float(np.median([_difference(one, other) for one, other in combinations(some, 2)]))


def _difference(one: Look, other: Look) -> float:
    apart = np.abs(one.thumbnail.astype(np.int16) - other.thumbnail.astype(np.int16))
    return float(apart.mean())


def _sparse(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Every eighth pixel of every eighth row, flat."""
    return thumbnail[_CELLS // 2 :: _CELLS, _CELLS // 2 :: _CELLS].astype(np.float32).ravel()


def _root(joined: list[int], index: int) -> int:
    while joined[index] != index:
        joined[index] = joined[joined[index]]
        index = joined[index]
    return index


def _crosses(group: Iterable[Look]) -> bool:
    return len({look.sample.split for look in group}) > 1


def _finding(code: str, severity: Severity, sentence: str, advice: str, groups: Sequence[Sequence[Look]]) -> Finding:
    """The members of a group stand one after the other; each names its group."""
    paths = tuple(look.sample.path for group in groups for look in group)
    remarks = tuple(f"group {number}" for number, group in enumerate(groups, 1) for _ in group)
    return Finding(code, severity, sentence, advice, paths, remarks)
