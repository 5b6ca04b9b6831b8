"""What a method is, and the table of those that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from diffusionad.errors import UsageError
from diffusionad.structures import FloatMap

__all__ = ["METHODS", "NOT_RUN", "Method", "Settings", "Spec", "make", "parse_methods"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What every method is told.

    Attributes:
        seed: decides every draw.
        size: (H, W), the working size where its release does not say otherwise.
        seconds: of training at most, where training has no end of its own.
        out: folder for what it keeps on disk to judge by, and for nothing else.
        work: folder for all else; it does not exist yet.
        textures: folder of texture pictures for methods that plant them; None: a method draws its own, or fails.
    """

    seed: int
    size: tuple[int, int]
    seconds: float
    out: Path
    work: Path
    textures: Path | None = None


class Method(Protocol):
    """Anything that learns from good pictures and then scores pictures; made with `Settings`, and what its row says."""

    def fit(self, pictures: Sequence[Path]) -> None:
        """Learn from files of good pictures."""

    def predict(self, path: Path) -> tuple[float, FloatMap]:
        """Raw score, higher is more anomalous, and raw map [h, w] float32 of any size and scale, of one file."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A row of the table.

    Attributes:
        where: "module:Class".
        title: for people, with the settings that its authors or package recommend.
        environment: own: where diffusionad runs; bench: `scripts/install bench`.
        keywords: given to the class.
    """

    where: str
    title: str
    environment: Literal["own", "bench"] = "own"
    keywords: Mapping[str, Any] = field(default_factory=dict)


_OURS, _PEERS, _FLOORS = (f"diffusionad.benchmark.{name}" for name in ("ours:Ours", "peers:Peer", "floors"))
_BACKBONE = "EfficientNet-Lite0, ImageNet"


def _ours(title: str, preset: str, *settings: str) -> Spec:
    return Spec(_OURS, title, keywords={"preset": preset, "changes": settings})


def _paper(title: str, where: str) -> Spec:
    return Spec(f"diffusionad.benchmark.{where}", f"{title} ({_BACKBONE})", "bench")


def _peer(title: str, model: str, **keywords: Any) -> Spec:
    return Spec(_PEERS, title, "bench", {"model": model, **keywords})


METHODS: dict[str, Spec] = {
    "diffusionad-tiny": _ours("diffusionad, preset tiny", "tiny"),
    "diffusionad-small": _ours("diffusionad, preset small", "small"),
    "diffusionad-small-int8": Spec(
        _OURS,
        "diffusionad, preset small, convolutions in int8 (OpenVINO)",
        keywords={"preset": "small", "changes": (), "precision": "int8"},
    ),
    "diffusionad-base": _ours("diffusionad, preset base", "base"),
    "segmentationad": _ours("SegmentationAD: segmenter alone", "small", "networks=segmenter", "normality.widths=[]"),
    "draem-plus": _ours("DRAEM+: autoencoder and segmenter", "small", "networks=autoencoder+segmenter"),
    "denoisingad": _ours("DenoisingAD: denoiser alone", "small", "networks=denoiser", "normality.widths=[]"),
    "anoddpm": _ours(
        "AnoDDPM: simplex noise, 51 steps back",
        "small",
        *("networks=denoiser", "normality.widths=[]", "diffusion.noise=simplex", "diffusion.t_fine=250"),
        *("diffusion.reconstruction=iterative", "diffusion.stride=5"),
    ),
    "patchcore": _peer(f"PatchCore, coreset 0.02 ({_BACKBONE})", "Patchcore", coreset_sampling_ratio=0.02),
    "padim": _peer(f"PaDiM, 100 features ({_BACKBONE})", "Padim", n_features=100),
    "stfpm": _peer(f"STFPM ({_BACKBONE})", "Stfpm"),
    "cflow": _peer(f"CFLOW ({_BACKBONE})", "Cflow"),
    "draem": _peer("DRAEM, no pretrained weights", "Draem"),
    "ganomaly": _peer("GANomaly, no pretrained weights", "Ganomaly"),
    "spade": _paper("SPADE, 50 neighbours", "spade:Spade"),
    "cutpaste": _paper("CutPaste, three-way", "cutpaste:CutPaste"),
    "favae": _paper("FAVAE", "favae:Favae"),
    "nearest-32": Spec(f"{_FLOORS}:Nearest", "floor: nearest training picture at 32 x 32"),
    "zscore-64": Spec(f"{_FLOORS}:ZScore", "floor: z-score of each pixel at 64 x 64"),
}

NOT_RUN = {
    "fastflow": "its normalising flow is built for backbones whose weights cannot be had offline",
    "reverse-distillation": "its decoder is built for ResNets, whose weights cannot be had offline",
    "supersimplenet": "it is built for WideResNet-50, whose weights cannot be had offline",
    "cfa": "it takes its centres from WideResNet-50 or VGG, whose weights cannot be had offline",
    "cs-flow": "it takes EfficientNet-B5, whose weights cannot be had offline",
    "spd": "it takes ResNet-50 weights, which cannot be had offline",
}
"""Methods that people ask for, and why no row can be measured here."""


def parse_methods(names: Sequence[str], own: Sequence[str] = ()) -> dict[str, Spec]:
    """Name -> row; `own` are "module:Class" of anybody's method, which run in the own environment.

    Raises:
        UsageError: a name that is not known, or why it is not run; an own method that cannot be imported.
    """
    chosen: dict[str, Spec] = {}
    for name in names:
        if name in NOT_RUN:
            raise UsageError(f"{name} is not run: {NOT_RUN[name]}.")
        if name not in METHODS:
            near = get_close_matches(name, METHODS, 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UsageError(f'Unknown method "{name}"{hint} Known methods: {", ".join(METHODS)}.')
        chosen[name] = METHODS[name]
    for where in own:
        _class_at(where)
        chosen[where] = Spec(where, where)
    if not chosen:
        raise UsageError("No method was given.")
    return chosen


def make(spec: Spec, settings: Settings) -> Method:
    """The method of a row. Raises UsageError when it cannot be imported."""
    method: Method = _class_at(spec.where)(settings, **spec.keywords)
    return method


def _class_at(where: str) -> Any:
    module, _, name = where.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f'The method "{where}" cannot be imported ({error}): write module:Class, and have the module on PYTHONPATH.'
        ) from None
