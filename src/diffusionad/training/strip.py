"""Picture strips that show how a run comes along: foreground, input, noisy, reconstruction, map, true mask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffusionad.brightness import linear
from diffusionad.detector import Detector
from diffusionad.files import write_bytes
from diffusionad.pairs import Batch
from diffusionad.report.pictures import encode, heat, sheet, strip, to_display
from diffusionad.structures import BoolMap, Picture
from diffusionad.tensors import to_picture

__all__ = ["with_foreground", "write_strip"]

_TITLES = ("input", "noisy", "reconstruction", "map", "planted")


@torch.no_grad()
def write_strip(
    path: Path,
    detector: Detector,
    batch: Batch,
    device: torch.device,
    foregrounds: Mapping[int, Picture],
    kind: str,
    *,
    logarithmic: bool,
) -> None:
    """One PNG, a row a sample of the held-out batch.

    Args:
        path: the file.
        detector: the networks as they are now.
        batch: the samples.
        device: where the networks are.
        foregrounds: for each of the batch's `indices`, what `with_foreground` made of it.
        kind: which foreground was chosen.
        logarithmic: the batch's brightness is on a logarithmic scale; it is shown on the usual one.

    Raises:
        ResourceError: the disk is full.
    """
    rows = []
    for index, image in enumerate(batch.image):
        given = torch.from_numpy(image[None]).to(device)
        noisy = detector.disturbed(given)
        _, anomaly_map, reconstruction = detector(given)
        planted = np.repeat(batch.true_mask[index, 0, :, :, None], 3, axis=2)
        shown = [
            to_display(foregrounds[batch.indices[index]]),
            *(to_display(_picture(it, logarithmic)) for it in (given, noisy, reconstruction)),
            heat(anomaly_map[0].float().cpu().numpy()),
            planted.astype(np.uint8) * np.uint8(255),
        ]
        rows.append(strip(shown, (kind, *_TITLES) if index == 0 else [""] * len(shown)))
    write_bytes(path, encode(sheet(rows), "png"))


def _picture(image: Tensor, logarithmic: bool) -> Picture:
    """Of one image, [1, C, H, W]."""
    return to_picture((linear(image) if logarithmic else image)[0].float().cpu().numpy())


def with_foreground(picture: Picture, foreground: BoolMap | None) -> Picture:
    """The picture [H, W, 3] with all but its foreground darkened; itself where defects go anywhere (None)."""
    if foreground is None:
        return picture
    return np.where(foreground[..., None], picture, picture // 4)
