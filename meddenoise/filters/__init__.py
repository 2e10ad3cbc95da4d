"""Classical denoisers that need no training, behind one call."""

from __future__ import annotations

from meddenoise.filters.apply import apply_filter
from meddenoise.filters.gaussian import gaussian
from meddenoise.filters.identity import identity
from meddenoise.filters.median import median
from meddenoise.filters.registry import filter_names, get_filter, register_filter

__all__ = [
    "apply_filter",
    "filter_names",
    "gaussian",
    "get_filter",
    "identity",
    "median",
    "register_filter",
]
