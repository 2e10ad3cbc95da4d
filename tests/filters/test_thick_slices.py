from __future__ import annotations

import numpy as np
import pytest

from meddenoise.filters import filter_names, get_filter, is_joint
from meddenoise.filters.registry import filter_options

SIGMA = 5.0


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    """Slices that differ by two sigma from the next, and waves along y; without and with noise."""
    clean = np.zeros((48, 40, 10), np.float32)
    clean += 2 * SIGMA * (np.arange(10) % 2)
    clean += 6 * SIGMA * np.sin(np.arange(40) / 5)[:, None]
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    return clean, clean + np.float32(SIGMA) * noise.astype(np.float32)


@pytest.mark.parametrize("name", [n for n in filter_names() if not is_joint(n) and n != "identity"])
def test_nothing_leaks_from_slice_to_slice(name: str, scan: tuple[np.ndarray, np.ndarray]) -> None:
    """With voxels of 0.5 x 0.5 x 5 mm a neighbour's value counts for less than a tenth."""
    clean, noisy = scan
    options = {"size": 3} if name == "mean" else {}
    filtered = get_filter(name)(noisy, spacing=(0.5, 0.5, 5), sigma_noise=SIGMA, **options)
    step = (filtered[..., 1::2] - filtered[..., ::2])[8:-8, 8:-8].mean()
    assert step == pytest.approx(2 * SIGMA, rel=0.1)
    assert np.mean((filtered - clean) ** 2) < 0.6 * SIGMA**2
    assert filter_options(name).keys() >= options.keys()
