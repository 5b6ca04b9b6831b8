"""From a normal image to a synthetic anomalous one with its true mask (METHOD section 4: paper Eq. 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffusionad.structures import BoolMap, FloatMap, Image
from diffusionad.synthesis.defects import DEFECTS
from diffusionad.synthesis.perlin import perlin
from diffusionad.synthesis.textures import Textures

__all__ = ["Synthesizer", "SyntheticPair", "blend"]

VISIBLE = 0.06
"""Mean change inside the mask, on the [-1, 1] scale, below which nobody could see the defect: drawn again."""


@dataclass(frozen=True, slots=True)
class SyntheticPair:
    """A normal image with a defect planted in it.

    Attributes:
        image: [C, H, W] in [-1, 1].
        true_mask: [H, W] bool, never empty.
        kind: name of the defect's kind.
    """

    image: Image
    true_mask: BoolMap
    kind: str


def blend(normal: Image, content: Image, cover: FloatMap, normal_share: float) -> Image:
    """S = share (M N) + (1 - share) (M A) + (1 - M) N, with M 0..1 at soft edges.

    Paper: Eq. 9
    """
    return np.asarray(normal + (1 - np.float32(normal_share)) * cover[None] * (content - normal), dtype=np.float32)


class Synthesizer:
    """Plants defects.

    Args:
        textures: supply for the kind "texture".
        kinds: how often each kind is drawn, relative weights by name.
        normal_share: bounds of the share of the normal image kept inside a defect (the paper's beta).
        rearranges_textures: draw the kind "rearranged" for textures too; the authors take texture pictures only there.
    """

    def __init__(
        self,
        textures: Textures,
        kinds: Mapping[Any, float],
        normal_share: tuple[float, float],
        *,
        rearranges_textures: bool = True,
    ) -> None:
        self._textures = textures
        self._names = sorted(name for name, weight in kinds.items() if weight > 0)
        weights = np.array([kinds[name] for name in self._names], dtype=np.float64)
        self._weights = self._weights_of_textures = weights / weights.sum()
        others = weights * [name != "rearranged" for name in self._names]
        if not rearranges_textures and others.any():
            self._weights_of_textures = others / others.sum()
        self._normal_share = normal_share

    def plant(
        self, rng: np.random.Generator, normal: Image, foreground: BoolMap | None, judged: BoolMap | None = None
    ) -> SyntheticPair:
        """A defect of a drawn kind inside `foreground` [H, W]; None, for textures: inside a random part.

        It also lies inside `judged` [H, W], never empty; where that has no pixel of the foreground, anywhere inside it.
        """
        weights = self._weights_of_textures if foreground is None else self._weights
        best, change_of_best, grey = None, -1.0, bool((normal == normal[:1]).all())
        for _ in range(20):
            kind = str(rng.choice(self._names, p=weights))
            defect = DEFECTS[kind](rng, normal, self._textures)
            part = _within(_random_part(rng, normal.shape[1:]) if foreground is None else foreground, judged)
            cover = np.asarray(defect.cover * part, dtype=np.float32)
            true_mask = cover > 0.3
            if not true_mask.any():
                continue
            share = 0.0 if defect.opaque else float(rng.uniform(*self._normal_share))
            content = _greyed(defect.content) if grey else defect.content
            image = blend(normal, content, cover, share)
            change = float(np.abs(image - normal).max(axis=0)[true_mask].mean())
            if change > change_of_best:
                best, change_of_best = SyntheticPair(image, true_mask, kind), change
            if change > VISIBLE:
                break
        return best if best is not None else _inverted(normal, foreground, judged)


def _greyed(content: Image) -> Image:
    """Grey pictures get grey defects: colour would give them away."""
    return np.ascontiguousarray(np.broadcast_to(content.mean(axis=0, keepdims=True), content.shape))


def _inverted(normal: Image, foreground: BoolMap | None, judged: BoolMap | None) -> SyntheticPair:
    """What is planted when no draw falls on the foreground: all of it, half the range brighter or darker."""
    part = np.ones(normal.shape[1:], dtype=np.bool_) if foreground is None or not foreground.any() else foreground
    part = _within(part, judged)
    moved = np.where(normal > 0, normal - 1, normal + 1)
    return SyntheticPair(np.where(part, moved, normal).astype(np.float32), part.copy(), "inverted")


def _within(part: BoolMap, judged: BoolMap | None) -> BoolMap:
    if judged is None:
        return part
    both = part & judged
    return both if both.any() else judged


def _random_part(rng: np.random.Generator, size: tuple[int, ...]) -> BoolMap:
    """A random part of a texture: half of the time all of it, else the larger side of a slow noise."""
    if rng.random() < 0.5:
        return np.ones(size, dtype=np.bool_)
    field = perlin(rng, (size[0], size[1]), (int(rng.integers(1, 4)), int(rng.integers(1, 4))))
    return field > float(rng.uniform(-0.4, 0.2))
