"""What a report shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffusionad.structures import GOOD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffusionad.structures import BoolMap, FloatMap, Judgement, Region

__all__ = ["Card", "KindRow", "Page"]


@dataclass(frozen=True, slots=True)
class Card:
    """One judged picture, at working size.

    Attributes:
        path: the name to show, best relative to the data set.
        defect: true kind of damage; "good" is normal.
        verdict: what the bundle says.
        score: image score, 0..1.
        p_value: share of calibration normals at least as anomalous; None without calibration.
        picture, reconstruction: [H, W, 3] uint8.
        anomaly_map: [H, W] float32 0..1.
        true_mask: [H, W] bool; None where unknown.
        regions: found, strongest first, in native pixels.
        neighbour: name of the good training picture most like this one, and it, [h, w, 3] uint8; None where unknown.
    """

    path: str
    defect: str
    verdict: Judgement
    score: float
    p_value: float | None
    picture: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]
    anomaly_map: FloatMap
    true_mask: BoolMap | None = None
    regions: Sequence[Region] = ()
    neighbour: tuple[str, NDArray[np.uint8]] | None = None


@dataclass(frozen=True, slots=True)
class KindRow:
    """Results of one kind of damage; None is "not measured".

    Attributes:
        defect: kind of damage.
        pictures: how many were judged.
        image_auroc, pixel_auroc, pixel_ap: fractions 0..1, against all good pictures.
        missed: how many were taken for good.
    """

    defect: str
    pictures: int
    image_auroc: float | None
    pixel_auroc: float | None
    pixel_ap: float | None
    missed: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One evaluation.

    Attributes:
        title, bundle, data, made: heading, model folder, data set, date and time.
        figures: `image_auroc`, `pixel_auroc`, `aupro`, `pixel_ap` and any further fraction; None is "not measured".
        threshold: score above which a picture is anomalous; None when the bundle is not calibrated.
        promise: what the threshold promises, in one sentence with its assumptions.
        overkill: good parts rejected, of how many good parts.
        escapes: defective parts passed, of how many defective parts.
        unjudged: (path, reason) of pictures without a verdict.
        kinds: one row per kind of damage.
        scores: kind of damage ("good" first) to the image scores of its pictures.
        calibration: rising scores behind the threshold, for what another threshold would promise; () without.
        lower: score from which a person looks, below the threshold; None: there is none.
        pro: points of the PRO curve; () where not measured.
        provenance: heading to text, such as the resolved configuration and how training went.
        versions: program to version.
    """

    title: str
    bundle: str
    data: str
    made: str
    figures: Mapping[str, float | None]
    threshold: float | None
    promise: str
    overkill: tuple[int, int]
    escapes: tuple[int, int]
    unjudged: Sequence[tuple[str, str]]
    kinds: Sequence[KindRow]
    scores: Mapping[str, Sequence[float]]
    provenance: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)
    calibration: Sequence[float] = ()
    lower: float | None = None
    pro: Sequence[tuple[float, float]] = ()

    @property
    def scores_good(self) -> list[float]:
        return list(self.scores.get(GOOD, ()))

    @property
    def scores_defective(self) -> list[float]:
        return [score for kind, scores in self.scores.items() if kind != GOOD for score in scores]
