"""The schema of a YAML file: strict, typed, every default in one place."""

from meddenoise.config.load import dump, load, parse, parse_settings
from meddenoise.config.schema import (
    Config,
    DataConfig,
    InferenceConfig,
    NoiseConfig,
    NormaliseConfig,
    PartConfig,
    SplitConfig,
    StabiliseConfig,
    TrainingConfig,
)

__all__ = [
    "Config",
    "DataConfig",
    "InferenceConfig",
    "NoiseConfig",
    "NormaliseConfig",
    "PartConfig",
    "SplitConfig",
    "StabiliseConfig",
    "TrainingConfig",
    "dump",
    "load",
    "parse",
    "parse_settings",
]
