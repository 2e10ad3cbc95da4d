"""A model file and a scan in, a denoised scan out.

Names are loaded when they are first used: a model's description is read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meddenoise.inference.denoiser import Denoiser
    from meddenoise.inference.model_file import read_model_info

__all__ = ["Denoiser", "read_model_info"]

_HOME = {"Denoiser": "denoiser", "read_model_info": "model_file"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
