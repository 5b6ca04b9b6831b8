"""What an exported bundle knows of its networks: which runtime in which precision, made where, checked against what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from diffusionad.structures import Fingerprint

__all__ = ["Artifact", "Parity", "Precision", "Target"]

Target = Literal["onnx", "openvino", "torch-export"]
"""What runs an exported bundle. `Inspector.load` runs the first two: a program of `torch.export` may hold pickles."""

Precision = Literal["fp32", "bf16", "int8"]
"""In which numbers the networks compute; int8: their convolutions, all else in fp32."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How an artifact judges beside the networks it comes from, on the same pictures.

    Attributes:
        against: runtime of the networks it comes from.
        good, planted: held-out good pictures, and the same with a synthetic defect each.
        map_difference, score_difference: the largest, 0..1.
        guard: flips this near the old threshold are the calibration's to settle, in score.
        flips: pictures with another verdict, each side by its own threshold: one promise, the same pictures.
        flips_beyond: those of them whose old score was further than `guard` from the old threshold.
        region_recall: share of the old regions that a new one meets; None where there was none.
    """

    against: str
    good: int
    planted: int
    map_difference: float
    score_difference: float
    guard: float
    flips: int
    flips_beyond: int
    region_recall: float | None

    def sentence(self) -> str:
        """The same for people."""
        recall = "" if self.region_recall is None else f" {self.region_recall:.0%} of the regions are met."
        return (
            f"Against {self.against} on {self.good} good pictures and {self.planted} planted defects: maps differ by "
            f"{self.map_difference:.2g} at most, scores by {self.score_difference:.2g}; {self.flips} other verdicts, "
            f"{self.flips_beyond} of them further than {self.guard:g} from the threshold.{recall}"
        )


@dataclass(frozen=True, slots=True)
class Artifact:
    """The networks of an exported bundle.

    Attributes:
        runtime, precision: what runs them, stated.
        made_on: where they were checked and calibrated.
        expected: score of the self-test picture there.
        tolerance: how far it may be from that when the bundle is opened.
        parity: None until it was measured.
    """

    runtime: Target
    precision: Precision
    made_on: Fingerprint
    expected: float
    tolerance: float
    parity: Parity | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Artifact:
        """Read what `to_json` made. Raises KeyError, TypeError or ValueError where it is something else."""
        if stored["runtime"] not in get_args(Target) or stored["precision"] not in get_args(Precision):
            raise ValueError(f"no runtime {stored['runtime']!r} in {stored['precision']!r} is known")
        made, parity = stored["made_on"], stored["parity"]
        return cls(
            **{
                **stored,
                "expected": float(stored["expected"]),
                "tolerance": float(stored["tolerance"]),
                "made_on": Fingerprint(**{**made, "instructions": tuple(made["instructions"])}),
                "parity": None if parity is None else Parity(**parity),
            }
        )
