"""Classical denoisers that need no training, behind one call."""

from __future__ import annotations

from meddenoise.filters.anisotropic_diffusion import anisotropic_diffusion
from meddenoise.filters.apply import apply_filter
from meddenoise.filters.bilateral import bilateral
from meddenoise.filters.bm4d import bm4d
from meddenoise.filters.curvature_flow import curvature_flow
from meddenoise.filters.gaussian import gaussian
from meddenoise.filters.identity import identity
from meddenoise.filters.mean import mean
from meddenoise.filters.median import median
from meddenoise.filters.mppca import mppca
from meddenoise.filters.nlmeans import nlmeans
from meddenoise.filters.patch2self import patch2self
from meddenoise.filters.registry import (
    describe_filter,
    filter_names,
    filter_options,
    get_filter,
    is_joint,
    register_filter,
)
from meddenoise.filters.total_variation import total_variation
from meddenoise.filters.wavelet import wavelet

__all__ = [
    "anisotropic_diffusion",
    "apply_filter",
    "bilateral",
    "bm4d",
    "curvature_flow",
    "describe_filter",
    "filter_names",
    "filter_options",
    "gaussian",
    "get_filter",
    "identity",
    "is_joint",
    "mean",
    "median",
    "mppca",
    "nlmeans",
    "patch2self",
    "register_filter",
    "total_variation",
    "wavelet",
]
