"""From a preset, a file and `section.key=value` to the complete settings; an unknown key names the known ones."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from diffusionad.config.settings import Config
from diffusionad.config.units import on_unit_images
from diffusionad.errors import UsageError

__all__ = ["PRESETS", "resolve"]

_PAPER: dict[str, Any] = {
    "denoiser": {
        "width": 128,
        "multipliers": (1, 1, 2, 2, 4, 4),
        "blocks": 2,
        "attention_levels": (3, 4, 5),
        "patch": 1,
        "embedding": "additive",
        "groups": 32,
    },
    "segmenter": {"widths": (64, 128, 256, 512, 512, 512), "patch": 1, "norm": "batch", "difference": False},
    "data": {"size": (256, 256), "brightness": "linear", "shift": 0.0, "light": 0.0},
    "normality": {"widths": ()},
}
"""Networks and pictures of the paper, both versions."""

_ADAM: dict[str, Any] = {
    "rates": "constant",
    "beta2": 0.999,
    "decay": 0.0,
    "clip": 1e9,
    "warmup_images": 0,
    "ema_images": 0.0,
}
"""Adam with fixed rates, nothing clipped or averaged: the authors'."""

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "data": {"size": (128, 128)},
        "denoiser": {"width": 24, "patch": 8},
        "segmenter": {"widths": (16, 24, 32, 48)},
        "training": {"max_seconds": 260.0, "validations": 4},
    },
    "small": {"data": {"size": (256, 256), "shrink": 2}, "training": {"images": 48_000, "max_seconds": 1200.0}},
    "base": {"data": {"size": (512, 512), "shrink": 4}, "training": {"images": 48_000, "max_seconds": 1200.0}},
    "journal": {
        **_PAPER,
        "synthesis": {"kinds": {"texture": 1.0, "rearranged": 1.0}, "rearrange_textures": False},
        "diffusion": {
            "prediction": "eps",
            "reconstruction": "norm-guided",
            "fine_range": (0, on_unit_images(300)),
            "coarse_range": (on_unit_images(300), 1000),
            "t_fine": on_unit_images(200),
            "t_coarse": on_unit_images(400),
            "guidance_weight": 0.508,
        },
        "loss": {"noise_on": "normal", "repair_weight": 0.0},
        "training": {**_ADAM, "batch": 16, "denoiser_rate": 1e-4, "segmenter_rate": 1e-5, "epochs": 3000},
    },
    "paper-v1": {
        **_PAPER,
        "synthesis": {
            "kinds": {"texture": 1.0, "rearranged": 1.0},
            "rearrange_textures": False,
            "operations": ("equalize", "sharpness", "auto_contrast", "solarize", "posterize", "invert", "gamma"),
            "operation_count": 2,
        },
        "diffusion": {
            "prediction": "eps",
            "reconstruction": "averaged",
            "fine_range": (0, 1000),
            "t_averaged": (on_unit_images(100), on_unit_images(200)),
        },
        "loss": {"noise_on": "all", "repair_weight": 0.0},
        "training": {**_ADAM, "batch": 6, "denoiser_rate": 1e-4, "segmenter_rate": 1e-4, "epochs": 500},
    },
}
"""Overrides of the defaults above, by name. `small` is the default."""


def resolve(
    preset: str | None = None,
    *,
    file: Path | None = None,
    settings: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The complete configuration: preset, then TOML file, then `section.key=value`, then overrides by dotted name.

    The preset is the one given, else the file's `preset`, else small.

    Raises:
        UsageError: unknown preset, key or impossible value; the message names the known ones.
    """
    written = _read_toml(file) if file is not None else {}
    preset = preset or str(written.get("preset", "small"))
    if preset not in PRESETS:
        raise UsageError(f'Unknown preset "{preset}"{_nearest(preset, PRESETS)} Known presets: {", ".join(PRESETS)}.')
    tree: dict[str, Any] = {}
    for layer in (PRESETS[preset], written, {"preset": preset}):
        if isinstance(training := layer.get("training"), Mapping) and "images" in training:
            _put(tree, "training.epochs", None)  # images take the place of a preset's epochs, as --images do
        _merge(tree, layer)
    for assignment in settings:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise UsageError(f'"{assignment}" is not a setting: write section.key=value, such as training.batch=4.')
        _put(tree, key.strip(), _value(text.strip()))
        if key.strip() == "training.images":
            _put(tree, "training.epochs", None)
    for key, value in (overrides or {}).items():
        _put(tree, key, value)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The configuration file {file} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration file {file} is not valid TOML: {error}.") from None


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    if dotted == "preset":
        raise UsageError(f"The preset is not a setting: give --preset {value}.")
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise UsageError(f'"{dotted}" is not a setting: "{section}" has no parts.')
    tree[key] = value


def _merge(tree: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if key != "kinds" and isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = deepcopy(value)


def _explain(error: ValidationError) -> str:
    sentences = []
    for problem in error.errors(include_url=False):
        place = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            known = _known(place[:-1])
            sentences.append(
                f'Unknown setting "{".".join(place)}"{_nearest(place[-1], known)} Known here: {", ".join(known)}.'
            )
        else:
            where = ".".join(place) or "settings"
            sentences.append(f"{where}: {problem['msg'].removeprefix('Value error, ')} (got {problem['input']!r}).")
    return " ".join(sentences)


def _known(sections: Sequence[str]) -> list[str]:
    model: Any = Config
    for section in sections:
        model = model.model_fields[section].annotation
    return sorted(model.model_fields)


def _nearest(word: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f': did you mean "{close[0]}"?' if close else "."
