"""Optional packages that some filters need."""

from __future__ import annotations

import importlib
from types import ModuleType

from meddenoise.errors import MissingDependency

__all__ = ["from_dipy"]


def from_dipy(module: str, *, method: str) -> ModuleType:
    """A module of DIPY, such as ``"denoise.localpca"``.

    Raises:
        MissingDependency: DIPY, or what it needs for the method, is not installed; the message
            names the extra.
    """
    try:
        importlib.import_module("sklearn")  # DIPY asks for it only once it fits
        return importlib.import_module(f"dipy.{module}")
    except ImportError as fault:
        raise MissingDependency(
            f"The method '{method}' is DIPY's, which is not installed ({fault}): "
            'pip install "meddenoise[dipy]".'
        ) from None
