"""The nouns that travel between layers. Arrays only: no torch, no files, no settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GOOD",
    "BoolMap",
    "Confirmed",
    "FloatMap",
    "Image",
    "Judgement",
    "Outcome",
    "Picture",
    "Region",
    "Sample",
    "Verdict",
]

Picture: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""Raw picture at the edge: HWC with C = 3, uint8 0..255 or uint16 0..65535."""

Image: TypeAlias = NDArray[np.float32]
"""Image inside the program: [C, H, W] float32 in [-1, 1]."""

FloatMap: TypeAlias = NDArray[np.float32]
"""[H, W] float32, an anomaly map in 0..1."""

BoolMap: TypeAlias = NDArray[np.bool_]
"""[H, W] bool: a true mask, a foreground, a region of interest."""

GOOD = "good"
"""The `defect` of a normal sample."""

Judgement = Literal["good", "review", "anomalous", "error"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a data set, before it is read.

    Attributes:
        path: the picture's file.
        split: "train" or "test".
        category: product class, the name of the data set's folder when it has only one.
        defect: kind of damage; "good" is normal.
        mask_path: file whose non-zero pixels are anomalous; None for good pictures and where unknown.
        session: name of the recording (day, shift, camera) it comes from; None where unknown.
    """

    path: Path
    split: Literal["train", "test"]
    category: str
    defect: str
    mask_path: Path | None = None
    session: str | None = None

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Good pictures that operators confirmed, added to those of a data set.

    Attributes:
        training: files that train.
        calibration: files that set the threshold.
    """

    training: tuple[Path, ...] = ()
    calibration: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a network says of one image, before any threshold.

    Attributes:
        image_score: mean of the top-k map pixels, 0..1, higher is more anomalous.
        anomaly_map: [H, W] float32 0..1 at working size. Not a probability. Of a tiled picture see `Verdict`.
        reconstruction: [C, H, W] float32 in [-1, 1] at working size, the anomaly-free guess.
    """

    image_score: float
    anomaly_map: FloatMap
    reconstruction: Image


@dataclass(frozen=True, slots=True)
class Region:
    """A connected set of anomalous pixels, in native pixels.

    Attributes:
        box: (x, y, width, height), x to the right and y down from the top left corner.
        area: square pixels at native size.
        peak: highest map value inside, 0..1.
    """

    box: tuple[int, int, int, int]
    area: int
    peak: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person gets for one picture.

    Attributes:
        path: the picture's file, or "<array>".
        verdict: good, review, anomalous or error. A picture that cannot be judged is never good.
        score: image score, 0..1, higher is more anomalous; NaN when verdict is error.
        threshold: score above which a picture is anomalous; None when the bundle is not calibrated.
        p_value: share of calibration normals at least as anomalous, (k + 1) / (n + 1); None without calibration.
        regions: connected anomalous areas, largest peak first; empty unless anomalous.
        native_size: (height, width) of the file in pixels; (0, 0) when unreadable.
        milliseconds: from file or array to verdict.
        anomaly_map: [H, W] float32 0..1 at working size; None when verdict is error. Of a tiled picture it shows all of
            it at the scale of the tiles, reduced by a whole number to at most 1024 pixels a side: each pixel is the
            highest of its block. Score and regions come from the map before that.
        reconstruction: [H, W, 3] uint8, what the part should look like, at working size, or reduced as that map; None
            when error.
        error_code, error: why a picture could not be judged; None otherwise.
        judged_box: (x, y, width, height) in native pixels of the part that was judged; all zero when verdict is error.
        judged_share: share of the picture that was judged, 0..1; below 1 nothing is said about the rest.
        regions_left_out: regions beyond those listed: of a tiled picture at most 1000 are, those of highest peak.
    """

    path: str
    verdict: Judgement
    score: float
    threshold: float | None
    p_value: float | None
    regions: tuple[Region, ...]
    native_size: tuple[int, int]
    milliseconds: float
    anomaly_map: FloatMap | None = field(default=None, repr=False)
    reconstruction: NDArray[np.uint8] | None = field(default=None, repr=False)
    error_code: str | None = None
    error: str | None = None
    judged_box: tuple[int, int, int, int] = (0, 0, 0, 0)
    judged_share: float = 0.0
    regions_left_out: int = 0
