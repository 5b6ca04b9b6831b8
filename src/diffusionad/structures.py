"""The nouns that travel between layers. Arrays only: no torch, no files, no settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GOOD",
    "BoolMap",
    "Fingerprint",
    "FloatMap",
    "Image",
    "Judgement",
    "Neighbour",
    "Outcome",
    "Picture",
    "Region",
    "Sample",
    "Spread",
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
        camera: name of the camera that took it; None where unknown.
    """

    path: Path
    split: Literal["train", "test"]
    category: str
    defect: str
    mask_path: Path | None = None
    session: str | None = None
    camera: str | None = None

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD


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
        p_value: of this region among good pictures: on a good one, the chance that any region has a p-value of at most
            q is at most q; None without calibration, or with one that recorded no peaks.
    """

    box: tuple[int, int, int, int]
    area: int
    peak: float
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a verdict was computed on: between two of these the last digits of a score may differ.

    Attributes:
        runtime: name and version, such as "onnxruntime 1.24.0".
        processor: its model.
        instructions: those of its instruction sets by which a runtime chooses its kernels; empty where unknown.
        threads: how many the runtime uses.
    """

    runtime: str
    processor: str
    instructions: tuple[str, ...]
    threads: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The good training picture most like the one judged.

    Attributes:
        name: of its file.
        difference: mean absolute difference of both, small and at the same place, in grey levels 0..255.
    """

    name: str
    difference: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How much an image score depends on the noise of inference.

    Attributes:
        draws: how many draws of the noise, the fixed one included; at least 2.
        mean: of the scores, 0..1. The verdict is that of the fixed draw, with which the threshold was made.
        deviation: standard deviation of the scores (n - 1).
    """

    draws: int
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person gets for one picture.

    Attributes:
        path: the picture's file, or "<array>".
        verdict: good, review, anomalous or error. A picture that cannot be judged is never good.
        score: image score, 0..1, higher is more anomalous; NaN when verdict is error.
        threshold: score above which a picture is anomalous; None when the bundle is not calibrated.
        p_value: share of calibration normals at least as anomalous, (k + 1) / (n + 1); None without calibration.
        regions: connected anomalous areas that count, largest peak first; empty unless anomalous.
        native_size: (height, width) of the file in pixels; (0, 0) when unreadable.
        milliseconds: from file or array to verdict.
        anomaly_map: [H, W] float32 0..1 at working size; None when verdict is error. Of a tiled picture it shows all of
            it at the scale of the tiles, reduced by a whole number to at most 1024 pixels a side: each pixel is the
            highest of its block. Score and regions come from the map before that.
        reconstruction: [H, W, C] uint8, what the part should look like, at working size, or reduced as that map; None
            when error.
        error_code, error: why a picture could not be judged; None otherwise.
        judged_box: (x, y, width, height) in native pixels of the part that was judged; all zero when verdict is error.
        judged_share: share of the picture that was judged, 0..1; below 1 nothing is said about the rest.
        promised: share of good pictures that the threshold calls anomalous at most, 0..1; None: nothing is promised.
        dropped: regions above the threshold that the region filter did not let count.
        region_filter: the filter as it was written; None when every region counts.
        outlined_at: map value above which pixels belong to `regions` and `dropped`; None when nothing was outlined.
        scale: millimetres a native pixel; None where unknown.
        bundle: key of the bundle that judged; "" where unknown.
        runtime: on what; None where unknown.
        nearest: the good training picture most like this one; None where the bundle keeps none, or when error.
        lower: from this score up to `threshold` the verdict is review; None: nothing lies between good and anomalous.
        group: name of the group whose threshold was taken (camera, product ...); None: that of all pictures.
        conditions: name -> value, what the picture was taken under (brightness, focus ...); empty when error.
        spread: of the score over draws of the noise; None where only one was made.
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
    promised: float | None = None
    dropped: tuple[Region, ...] = ()
    region_filter: str | None = None
    outlined_at: float | None = None
    scale: float | None = None
    bundle: str = ""
    runtime: Fingerprint | None = None
    nearest: Neighbour | None = None
    lower: float | None = None
    group: str | None = None
    conditions: Mapping[str, float] = field(default_factory=dict)
    regions_left_out: int = 0
    spread: Spread | None = None
