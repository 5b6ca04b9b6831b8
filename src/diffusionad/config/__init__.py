"""Settings, presets, and how they become one complete configuration."""

from diffusionad.config.resolving import PRESETS, resolve
from diffusionad.config.settings import (
    Config,
    DataSettings,
    DenoiserSettings,
    DiffusionSettings,
    Kind,
    LossSettings,
    NormalitySettings,
    SegmenterSettings,
    SynthesisSettings,
    TrainingSettings,
)

__all__ = [
    "PRESETS",
    "Config",
    "DataSettings",
    "DenoiserSettings",
    "DiffusionSettings",
    "Kind",
    "LossSettings",
    "NormalitySettings",
    "SegmenterSettings",
    "SynthesisSettings",
    "TrainingSettings",
    "resolve",
]
