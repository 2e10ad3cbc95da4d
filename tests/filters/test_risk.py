from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from meddenoise.filters.risk import expected_error, least_error


def scene(shape: tuple[int, ...], sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Smooth hills of standard deviation 1 and the same with noise; float32."""
    draws = np.random.default_rng(0)
    hills = gaussian_filter(draws.standard_normal(shape), 2.0)
    clean = (hills / hills.std()).astype(np.float32)
    return clean, clean + sigma * draws.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(200, 180), (60, 50, 40), (80, 90, 70)])
@pytest.mark.parametrize("kind", ["gaussian", "median"])
def test_it_tells_the_error_without_the_truth(shape: tuple[int, ...], kind: str) -> None:
    clean, noisy = scene(shape, 0.5)

    def smooth(image: np.ndarray) -> np.ndarray:
        if kind == "median":
            return median_filter(image, 3)
        return gaussian_filter(image, 0.7)

    truth = np.mean((smooth(noisy) - clean) ** 2)
    # In evenly spaced blocks, other hills are seen than in the whole.
    assert expected_error(smooth, noisy, 0.5) == pytest.approx(truth, rel=0.1)


def test_doing_nothing_costs_the_noise() -> None:
    _, noisy = scene((40, 40, 40), 0.5)
    assert expected_error(lambda image: image, noisy, 0.5) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_the_best_width_is_chosen(sigma: float) -> None:
    clean, noisy = scene((64, 64, 48), sigma)
    widths = [0.3, 0.5, 0.7, 1.0, 1.4]
    errors = [float(np.mean((gaussian_filter(noisy, w) - clean) ** 2)) for w in widths]
    chosen = least_error(gaussian_filter, widths, noisy, sigma)
    assert errors[widths.index(chosen)] <= 1.05 * min(errors)
    assert 1.05 * min(errors) < max(errors)


def test_without_noise_the_mildest() -> None:
    assert least_error(gaussian_filter, [0.3, 1.0], np.ones((8, 8)), 0.0) == 0.3
