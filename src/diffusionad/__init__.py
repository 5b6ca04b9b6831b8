"""DiffusionAD: learns from pictures of good parts only, then finds and outlines defects.

from diffusionad import Inspector, train

run = train("good/", "runs/part")
inspector = Inspector.load("runs/part/bundle")
verdict = inspector("new/part.png")
print(verdict.verdict, verdict.score, verdict.regions)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diffusionad.version import __version__

if TYPE_CHECKING:
    from diffusionad.errors import DiffusionADError
    from diffusionad.inspector import Inspector
    from diffusionad.structures import Region, Verdict
    from diffusionad.training import TrainedRun, train

__all__ = ["DiffusionADError", "Inspector", "Region", "TrainedRun", "Verdict", "__version__", "train"]

_HOMES = {
    "DiffusionADError": "diffusionad.errors",
    "Inspector": "diffusionad.inspector",
    "Region": "diffusionad.structures",
    "TrainedRun": "diffusionad.training",
    "Verdict": "diffusionad.structures",
    "train": "diffusionad.training",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: `import diffusionad` costs nothing, and judging needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
