"""The frozen noise of the noisy samples, in plain numpy."""

from __future__ import annotations

import numpy as np

from meddenoise.data.samples.fields import FloatArray

__all__ = ["CT_DOSE", "MR_NOISE_FRACTION", "ct_low_dose", "ct_sigma", "gaussian"]

MR_NOISE_FRACTION = 0.10  # of the 99.9th percentile
CT_DOSE = 0.031  # of the full photon count; about 35 HU of noise in soft tissue

_MU_WATER = 0.0192  # 1/mm, at about 70 keV
_PATH = 200.0  # mm, the effective path through the body
_PHOTONS = 1e5  # per ray at full dose


def gaussian(clean: FloatArray, sigma: float, rng: np.random.Generator) -> FloatArray:
    """White noise of a real-valued (phase-corrected) MR image: y = A + sigma n, n standard normal.

    ``sigma`` is in the image's units. A magnitude image would be Rician, with a bias in the air
    that no denoiser of a single image removes.
    """
    return (clean + sigma * rng.standard_normal(clean.shape)).astype(np.float32)


def ct_low_dose(clean: FloatArray, dose: float, rng: np.random.Generator) -> FloatArray:
    """Photon noise voxel by voxel: the quick image-domain model, not a scanner's physics.

    Each voxel (HU) is taken for a ray through 200 mm of its own matter:
    p = L mu_w (1 + HU/1000); N ~ Poisson(dose I0 exp(-p)); p' = -ln(max(N, 1) / (dose I0));
    HU' = 1000 (p' / (L mu_w) - 1), with mu_w = 0.0192/mm, L = 200 mm, I0 = 1e5. Noise is
    white and grows with attenuation; real CT noise is correlated and streaks.
    """
    photons = dose * _PHOTONS
    line = _PATH * _MU_WATER * (1 + clean.astype(np.float64) / 1000)
    counts = rng.poisson(photons * np.exp(-line))
    noisy = -np.log(np.maximum(counts, 1) / photons)
    return (1000 * (noisy / (_PATH * _MU_WATER) - 1)).astype(np.float32)


def ct_sigma(clean: FloatArray, dose: float) -> FloatArray:
    """Standard deviation (HU) of :func:`ct_low_dose`, to first order in 1/sqrt(N)."""
    line = _PATH * _MU_WATER * (1 + clean.astype(np.float64) / 1000)
    sigma = 1000 / (_PATH * _MU_WATER) * np.sqrt(np.exp(line) / (dose * _PHOTONS))
    return np.asarray(sigma, dtype=np.float32)
