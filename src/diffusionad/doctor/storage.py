"""Checks on how the pictures are stored: sizes, channels, bits, colour profiles, rotation flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from diffusionad.doctor.findings import Finding, Seen
from diffusionad.doctor.looking import Look

__all__ = [
    "find_mixed_channels",
    "find_mixed_depths",
    "find_mixed_profiles",
    "find_mixed_rotations",
    "find_mixed_sizes",
    "find_unused_bits",
]

_SAME_ASPECT = 1.05  # ratio of the widest to the narrowest aspect that hardly shows
_SHOWN = 4
_CHANNELS = {
    "1": "1 bit",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "PA": "palette with transparency",
    "RGB": "colour",
    "RGBA": "colour with transparency",
}


def find_mixed_sizes(seen: Seen) -> Iterator[Finding]:
    """More than one size in pixels; worse when the aspect changes too, for every picture is fitted to one size."""
    sizes = Counter(look.size for look in seen.looks)
    if len(sizes) < 2:
        return
    aspects = [width / height for height, width in sizes]
    stretched = max(aspects) / min(aspects) > _SAME_ASPECT
    consequence = (
        "of different aspect: each is stretched to the working size, its own way"
        if stretched
        else "of much the same aspect: each is resized, and some show finer detail"
    )
    yield _mixed(
        seen,
        "storage.sizes",
        f"Pictures come in {len(sizes)} sizes, {consequence}",
        "Crop all pictures to the same region at the same scale.",
        lambda look: look.size,
        lambda size: f"{size[1]} x {size[0]}",
        severe=stretched,
    )


def find_mixed_channels(seen: Seen) -> Iterator[Finding]:
    """Grey beside colour, or with and without transparency."""
    yield from _if_mixed(
        seen,
        "storage.channels",
        "Pictures differ in their channels",
        "Save all pictures with the same channels, from the same camera setting.",
        lambda look: _channels(look),
        str,
    )


def find_mixed_depths(seen: Seen) -> Iterator[Finding]:
    """8 bits beside 16."""
    yield from _if_mixed(
        seen,
        "storage.depths",
        "Pictures differ in their depth; the full range of each counts",
        "Save all pictures with the same number of bits.",
        lambda look: look.deep,
        lambda deep: "16 bits" if deep else "8 bits",
    )


def find_mixed_profiles(seen: Seen) -> Iterator[Finding]:
    """Different colour profiles, which are not applied: the same colour is stored as other numbers."""
    yield from _if_mixed(
        seen,
        "storage.profiles",
        "Pictures carry different colour profiles, and profiles are not applied",
        "Convert all pictures to one profile, such as sRGB, or save them without one.",
        lambda look: look.profile,
        lambda profile: f"profile {profile}" if profile else "none",
    )


def find_mixed_rotations(seen: Seen) -> Iterator[Finding]:
    """Different rotation flags, which are ignored: some parts lie turned."""
    yield from _if_mixed(
        seen,
        "storage.rotations",
        "Pictures carry different EXIF rotation flags, which are ignored: pixels stay as stored",
        "Turn the pixels and remove the flag, for example with: exiftran -ai FILES",
        lambda look: look.rotation,
        lambda rotation: f"flag {rotation}",
    )


def find_unused_bits(seen: Seen) -> Iterator[Finding]:
    """16-bit files with 12 bits inside, or fewer: at the low end they look black, at the high end it does no harm."""
    deep = [look for look in seen.looks if look.deep and look.peak > 0]
    if not deep:
        return
    peak = max(look.peak for look in deep)
    paths = tuple(look.sample.path for look in deep)
    if peak <= 4095:
        yield Finding(
            "storage.low_bits",
            "risk",
            f"{len(deep)} pictures of 16 bits hold no value above {peak}, so {peak.bit_length()} bits at most: "
            "the full range of the type counts, so they are nearly black.",
            f"Multiply all values by {65536 >> peak.bit_length()} when saving, in training and on the line alike.",
            paths,
        )
    elif not any(look.low_bits for look in deep):
        yield Finding(
            "storage.padded_bits",
            "note",
            f"{len(deep)} pictures of 16 bits never use the lowest 4: they hold 12 bits, shifted up.",
            "Nothing need be done, as long as the line delivers the same.",
            paths,
        )


def _channels(look: Look) -> str:
    return "grey" if look.deep else _CHANNELS.get(look.mode, look.mode)


def _if_mixed(
    seen: Seen,
    code: str,
    sentence: str,
    advice: str,
    of: Callable[[Look], Hashable],
    named: Callable[[Any], str],
) -> Iterator[Finding]:
    if len({of(look) for look in seen.looks}) > 1:
        yield _mixed(seen, code, sentence, advice, of, named)


def _mixed(
    seen: Seen,
    code: str,
    sentence: str,
    advice: str,
    of: Callable[[Look], Hashable],
    named: Callable[[Any], str],
    *,
    severe: bool = True,
) -> Finding:
    """The commonest value is taken for right; the pictures with another one are listed, the rarest value first."""
    counts = Counter(of(look) for look in seen.looks)
    common = counts.most_common()
    odd = [look for look in seen.looks if of(look) != common[0][0]]
    odd.sort(key=lambda look: counts[of(look)])
    shown = ", ".join(f"{named(value)} ({count})" for value, count in common[:_SHOWN])
    more = f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else ""
    return Finding(
        code,
        "risk" if severe else "note",
        f"{sentence}: {shown}{more}.",
        advice,
        tuple(look.sample.path for look in odd),
        tuple(named(of(look)) for look in odd),
    )
