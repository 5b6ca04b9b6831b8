"""What a training run is at one moment, and how it is saved and taken up again: one safetensors file, no code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from diffusionad.errors import TrainingError
from diffusionad.files import write_bytes

__all__ = ["Averaged", "Progress", "load_state", "save_state", "save_weights"]


@dataclass(slots=True)
class Progress:
    """The training clock and what was reached.

    Attributes:
        images: images seen.
        steps: optimiser steps taken.
        seconds: time spent in the loop, over all resumptions.
        validations: how many times the run was scored on held-out pictures.
        best_score: best held-out score so far, 0..1; -1 before the first.
        best_images: images seen when it was reached.
        history: (images, held-out score) of each validation.
    """

    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    validations: int = 0
    best_score: float = -1.0
    best_images: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)


class Averaged:
    """Exponential moving average of a module's weights, the half-life counted in images; ramps up early. 0 copies."""

    def __init__(self, module: nn.Module, half_life: float) -> None:
        self._half_life = half_life
        self.tensors = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def to(self, device: torch.device) -> None:
        """Move the averages to where the module is."""
        self.tensors = {name: value.to(device) for name, value in self.tensors.items()}

    @torch.no_grad()
    def update(self, module: nn.Module, batch: int, steps: int) -> None:
        """Move towards the module's weights after a step of `batch` images; integers are copied."""
        keep = min(0.5 ** (batch / self._half_life), (1 + steps) / (10 + steps)) if self._half_life else 0.0
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1 - keep)
            else:
                self.tensors[name].copy_(value)


def save_state(
    path: Path,
    module: nn.Module,
    averaged: Averaged,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    run_key: str,
) -> None:
    """One atomic file with everything that the next step depends on. Raises ResourceError (disk)."""
    tensors = {f"model/{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"averaged/{name}": value for name, value in averaged.tensors.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(plain, {"progress": json.dumps(asdict(progress)), "run_key": run_key}))


def load_state(
    path: Path, module: nn.Module, averaged: Averaged, optimizer: torch.optim.Optimizer, run_key: str
) -> Progress:
    """Take up a run where `save_state` left it, in place.

    Raises:
        TrainingError: the file is damaged or belongs to a run with other settings or other pictures.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainingError(
            f"{path} is damaged ({error}). Delete it to start this run anew, or train into another folder."
        ) from None
    if metadata.get("run_key") != run_key:
        raise TrainingError(
            f"{path} belongs to a run with other settings or other pictures. Give the same ones to resume it, "
            "or another --out folder to start a new run.",
            code="training.other_run",
        )
    module.load_state_dict(_part(tensors, "model/"))
    for name, value in _part(tensors, "averaged/").items():
        averaged.tensors[name].copy_(value)
    state = optimizer.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer/").items():
        index, slot = name.split("/")
        slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})
    values = json.loads(metadata["progress"])
    values["history"] = [(int(images), float(score)) for images, score in values["history"]]
    return Progress(**values)


def save_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """Weights alone, one atomic safetensors file. Raises ResourceError (disk)."""
    write_bytes(path, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
