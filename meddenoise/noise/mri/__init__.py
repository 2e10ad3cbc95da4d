"""Noise of magnetic resonance images."""

from __future__ import annotations

from meddenoise.noise.mri.coil_correlated import coil_correlated, coil_sensitivities
from meddenoise.noise.mri.kspace import kspace, kspace_filter
from meddenoise.noise.mri.noncentral_chi import noncentral_chi
from meddenoise.noise.mri.parallel_imaging import g_factor, parallel_imaging
from meddenoise.noise.mri.rician import rician
from meddenoise.noise.mri.varying import smooth_field, varying

__all__ = [
    "coil_correlated",
    "coil_sensitivities",
    "g_factor",
    "kspace",
    "kspace_filter",
    "noncentral_chi",
    "parallel_imaging",
    "rician",
    "smooth_field",
    "varying",
]
