"""MONAI transforms: load a scan, normalise it, add noise; crops and flips are MONAI's own.

Names are looked up when they are asked for, because importing MONAI takes seconds:
``meddenoise.transforms.normalisation`` needs none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meddenoise.transforms.loading import LoadVolume, LoadVolumed
    from meddenoise.transforms.noise import AddNoise, AddNoised
    from meddenoise.transforms.normalisation import Normalisation
    from meddenoise.transforms.normalise import NormaliseIntensity, NormaliseIntensityd

__all__ = [
    "AddNoise",
    "AddNoised",
    "LoadVolume",
    "LoadVolumed",
    "Normalisation",
    "NormaliseIntensity",
    "NormaliseIntensityd",
]

_HOME = {
    "AddNoise": "noise",
    "AddNoised": "noise",
    "LoadVolume": "loading",
    "LoadVolumed": "loading",
    "Normalisation": "normalisation",
    "NormaliseIntensity": "normalise",
    "NormaliseIntensityd": "normalise",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
