"""Small scans whose noise is known, of the kinds that ask for different methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import meddenoise as md


class NoisyScans:
    """Smooth tissue with noise of a kind; sigma 8."""

    sigma = 8.0

    def anatomy(self, seed: int = 0) -> np.ndarray:
        """Smooth tissue well above the noise, and an empty margin."""
        draws = np.random.default_rng(seed)
        clean = 120 + 300 * gaussian_filter(draws.standard_normal((56, 56, 40)), 6)
        clean[:8] = clean[-8:] = 0
        return clean

    def scan(self, kind: str, seed: int = 1, **more: Any) -> md.Volume:
        draws = np.random.default_rng(seed)
        clean = self.anatomy()
        noise = draws.standard_normal(clean.shape)
        if kind == "rician":
            array = np.hypot(
                clean + self.sigma * noise, self.sigma * draws.standard_normal(clean.shape)
            )
            more.setdefault("modality", "MR")
        elif kind == "along x":
            smooth = gaussian_filter(noise, (1, 0, 0), mode="wrap")
            array = clean + self.sigma * smooth / smooth.std()
        elif kind == "everywhere":
            smooth = gaussian_filter(noise, 1, mode="wrap")
            array = clean + self.sigma * smooth / smooth.std()
        else:
            array = clean + self.sigma * noise
        return md.Volume.from_array(array.astype(np.float32), **more)


@pytest.fixture(scope="session")
def scans() -> NoisyScans:
    """Noisy scans of several kinds."""
    return NoisyScans()
