"""Picture strips that show how a run comes along: input, noisy, reconstruction, map, true mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from diffusionad.detector import Detector
from diffusionad.files import write_bytes
from diffusionad.pairs import Batch
from diffusionad.report.pictures import encode, heat, sheet, strip
from diffusionad.tensors import to_picture

__all__ = ["write_strip"]

_TITLES = ("input", "noisy", "reconstruction", "map", "planted")


@torch.no_grad()
def write_strip(path: Path, detector: Detector, batch: Batch, device: torch.device) -> None:
    """One PNG, a row a sample of the held-out batch. Raises ResourceError when the disk is full."""
    rows = []
    for index, image in enumerate(batch.image):
        given = torch.from_numpy(image[None]).to(device)
        noisy = detector.disturbed(given)
        _, anomaly_map, reconstruction = detector(given)
        planted = np.repeat(batch.true_mask[index, 0, :, :, None], 3, axis=2)
        shown = [
            to_picture(image),
            to_picture(noisy[0].float().cpu().numpy()),
            to_picture(reconstruction[0].float().cpu().numpy()),
            heat(anomaly_map[0].float().cpu().numpy()),
            planted.astype(np.uint8) * np.uint8(255),
        ]
        rows.append(strip(shown, _TITLES if index == 0 else [""] * len(shown)))
    write_bytes(path, encode(sheet(rows), "png"))
