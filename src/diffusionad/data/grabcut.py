"""GrabCut (Rother, Kolmogorov, Blake 2004): colour models of object and background, cut apart along edges. OpenCV.

OpenCV is an extra. It gets arrays that `read_picture` decoded and never opens a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffusionad.data.background import as_three, cleaned, colours_of, ring_of, white_of
from diffusionad.errors import ResourceError

if TYPE_CHECKING:
    from diffusionad.structures import BoolMap, Picture

__all__ = ["cut_out"]

_ROUNDS = 5


def cut_out(pictures: Sequence[Picture], starts: Sequence[BoolMap] | None) -> BoolMap:
    """The object in each picture, [n, H, W] bool; empty where nothing was found. The same each time.

    Args:
        pictures: [H, W, C] of one size.
        starts: [H, W] bool each, where the object probably is; None: in the middle half.

    Raises:
        ResourceError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise ResourceError(
            'The foreground "grabcut" needs OpenCV: pip install "diffusionad[grabcut]".', code="extra.missing"
        ) from None
    white = white_of(pictures)
    found = []
    for index, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        probable = np.zeros((height, width), dtype=np.bool_)
        probable[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
        if starts is not None and starts[index].any():
            probable = starts[index]
        labels = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[ring_of((height, width)) & ~probable] = cv2.GC_BGD
        if probable.all():
            found.append(probable)
            continue
        shown = np.rint(np.minimum(as_three(colours_of(picture, white)), 1) * 255).astype(np.uint8)
        cv2.setRNGSeed(0)  # its colour models start from a random clustering
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(shown, labels, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
        found.append(cleaned((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)))
    return np.stack(found)
