"""From a file to what the networks see: the one way of training, calibration, evaluation and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionad.data.pictures import read_reduced

if TYPE_CHECKING:
    from diffusionad.data.fit import Framing, View
    from diffusionad.structures import Picture

__all__ = ["Seen", "see"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as the networks see it.

    Attributes:
        picture: [H, W, C] uint8 or uint16 at working size.
        view: what it shows of its file.
    """

    picture: Picture
    view: View


def see(path: Path, framing: Framing, channels: int | None = None) -> Seen:
    """Read one file and bring it to the working size. A JPEG much larger than needed is decoded at a reduced scale.

    The pixels depend on the file and these arguments alone, so training and judging see the same. `channels` as in
    `read_picture`.

    Raises:
        PictureError: the picture cannot be read, or does not fit the region of interest.
    """
    found = read_reduced(path, lambda native: framing.view(native).enough, channels=channels)
    view = framing.view(found.native)
    return Seen(view.picture(found.picture), view)
