"""The schema of a YAML file: strict, typed, every default in one place."""

from meddenoise.config.load import dump, load, parse, parse_settings
from meddenoise.config.schema import (
    Config,
    DataConfig,
    InferenceConfig,
    NormaliseConfig,
    PartConfig,
    SplitConfig,
    TrainingConfig,
)

__all__ = [
    "Config",
    "DataConfig",
    "InferenceConfig",
    "NormaliseConfig",
    "PartConfig",
    "SplitConfig",
    "TrainingConfig",
    "dump",
    "load",
    "parse",
    "parse_settings",
]
