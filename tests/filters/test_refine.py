from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from meddenoise.filters import bm4d
from meddenoise.filters.refine import refined
from meddenoise.filters.risk import expected_error

CUBES = (1.0, 1.0, 1.0)


def scene(shape: tuple[int, ...], sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Hills with sharp borders, of standard deviation about 1, and the same with noise."""
    draws = np.random.default_rng(0)
    hills = gaussian_filter(draws.standard_normal(shape), 2.0)
    clean = (hills / hills.std() + 1.5 * (hills > 0)).astype(np.float32)
    return clean, clean + sigma * draws.standard_normal(shape).astype(np.float32)


def error(image: np.ndarray, clean: np.ndarray) -> float:
    return float(np.mean((image.astype(np.float64) - clean) ** 2))


@pytest.mark.parametrize("shape", [(160, 150), (48, 50, 40)])
@pytest.mark.parametrize(
    "filter_",
    [partial(gaussian_filter, sigma=1.3), partial(gaussian_filter, sigma=0.4),
     partial(median_filter, size=3)],
    ids=["too wide", "too narrow", "median"],
)  # fmt: skip
def test_the_error_falls_and_its_estimate_tells_so(
    shape: tuple[int, ...], filter_: partial
) -> None:
    clean, noisy = scene(shape, 0.5)
    spacing = CUBES[: len(shape)]

    def both(image: np.ndarray) -> np.ndarray:
        return refined(filter_, image, 0.5, spacing=spacing)

    found = both(noisy)
    assert found.dtype == noisy.dtype
    assert found.shape == noisy.shape
    assert error(found, clean) < 0.95 * error(filter_(noisy), clean)
    # The weights are few: that they were chosen by the same image hardly biases the estimate.
    assert expected_error(both, noisy, 0.5) == pytest.approx(error(found, clean), rel=0.1)


def test_bm4d_gains() -> None:
    clean, noisy = scene((40, 40, 32), 0.5)
    plain = partial(bm4d, spacing=CUBES, sigma_noise=0.5)
    before, after = plain(noisy), refined(plain, noisy, 0.5, spacing=CUBES)
    assert error(after, clean) < 0.99 * error(before, clean)
    assert np.array_equal(bm4d(noisy, spacing=CUBES, sigma_noise=0.5, refine=True), after)


def test_without_noise_the_result_stays() -> None:
    clean, _ = scene((20, 20, 20), 0.5)
    smooth = partial(gaussian_filter, sigma=1.0)
    assert np.array_equal(refined(smooth, clean, 0.0, spacing=CUBES), smooth(clean))


def test_nothing_to_correct_and_no_contrast() -> None:
    """A filter that does nothing at all, and one whose residual is all of the noise."""
    draws = np.random.default_rng(0).standard_normal((40, 40, 40)).astype(np.float32)
    flat = refined(lambda image: np.full_like(image, 7.0), draws + 7, 1.0, spacing=CUBES)
    assert error(flat, np.full_like(draws, 7.0)) < 1e-3
    kept = refined(lambda image: image.copy(), draws + 7, 1.0, spacing=CUBES)
    assert error(kept, np.full_like(draws, 7.0)) < 1e-2


def test_an_offset_and_a_scale_change_nothing() -> None:
    _, noisy = scene((32, 30, 28), 0.5)
    smooth = partial(gaussian_filter, sigma=1.0)
    found = refined(smooth, noisy, 0.5, spacing=CUBES)
    far = refined(smooth, (100 * noisy - 1000).astype(np.float64), 50.0, spacing=CUBES)
    np.testing.assert_allclose((far + 1000) / 100, found, atol=2e-3)


def test_thick_slices_are_smoothed_less() -> None:
    clean, noisy = scene((48, 48, 16), 0.5)
    smooth = partial(gaussian_filter, sigma=(1.0, 1.0, 0.0))
    found = refined(smooth, noisy, 0.5, spacing=(1.0, 1.0, 6.0))
    assert error(found, clean) < error(smooth(noisy), clean)
    assert not np.array_equal(found, refined(smooth, noisy, 0.5, spacing=CUBES))
