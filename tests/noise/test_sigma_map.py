from __future__ import annotations

import importlib

import numpy as np
import pytest
from scipy.ndimage import generic_filter

from meddenoise.errors import ParameterError
from meddenoise.noise.sigma_map import _medians, _middle, local_sigma, sigma_map

module = importlib.import_module("meddenoise.noise.sigma_map")


def ramp(shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Sigma that grows along the first axis."""
    sigma = np.linspace(low, high, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return np.broadcast_to(sigma, shape)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((96, 60, 60), None), ((384, 256), None), ((96, 96, 12), (1, 1, 5.0))]
)
def test_noise_that_varies_in_space(
    shape: tuple[int, ...], spacing: tuple[float, ...] | None
) -> None:
    sigma = ramp(shape, 5, 15)
    x = np.linspace(0, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    noisy = 200 * np.cos(4 * x) + sigma * np.random.default_rng(0).standard_normal(shape)
    found = sigma_map(noisy.astype(np.float32), spacing=spacing)
    assert found.shape == shape
    assert found.dtype == np.float32
    assert np.median(np.abs(found / sigma - 1)) < 0.05
    assert np.abs(found / sigma - 1).max() < 0.35  # in the outermost half window
    assert found[:16].mean() == pytest.approx(sigma[:16].mean(), rel=0.12)
    assert found[-16:].mean() == pytest.approx(sigma[-16:].mean(), rel=0.12)


def test_a_magnitude_is_corrected_where_the_signal_is_weak() -> None:
    rng = np.random.default_rng(1)
    clean = np.repeat([0.0, 300.0], 40)[:, None, None] * np.ones((80, 60, 60))
    noisy = np.hypot(
        clean + 20 * rng.standard_normal(clean.shape), 20 * rng.standard_normal(clean.shape)
    )
    found = sigma_map(noisy, magnitude=True)
    assert found[:30].mean() == pytest.approx(20, rel=0.05)
    assert found[50:].mean() == pytest.approx(20, rel=0.03)
    # The spread of Rayleigh noise; the robust scale of its skewed distribution is near it.
    assert sigma_map(noisy)[:30].mean() == pytest.approx(20 * 0.655, rel=0.05)


def test_an_edge_that_fills_a_window_is_no_noise() -> None:
    clean = np.zeros((80, 80, 80))
    clean[36:44:2, ::2, ::2] = 500
    noisy = clean + 3 * np.random.default_rng(2).standard_normal(clean.shape)
    found = sigma_map(noisy)
    assert found[:20].mean() == pytest.approx(3, rel=0.05)
    assert found[60:].mean() == pytest.approx(3, rel=0.05)


def test_windows_are_looked_at_together_or_one_row_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two flat backgrounds each is the commonest value of some rows only."""
    noisy = np.random.default_rng(4).standard_normal((60, 60, 60))
    noisy[:30, :, :30], noisy[:, :20, 40:] = 0, 7
    together = sigma_map(noisy)
    monkeypatch.setattr(module, "_SLAB", 1)
    np.testing.assert_array_equal(together, sigma_map(noisy))
    assert together[40, 40].min() > 0.8


def test_what_does_not_count_gets_the_nearest() -> None:
    noisy = np.random.default_rng(3).standard_normal((60, 60, 60))
    noisy[30:] = 0
    noisy[:, :, :20] *= 50
    noisy[10, 10, 40] = np.nan
    mask = np.ones(noisy.shape, dtype=bool)
    mask[:, :, :20] = False
    found = sigma_map(noisy, mask=mask)
    assert np.isfinite(found).all()
    assert np.abs(found - 1).max() < 0.25


def test_what_has_no_map() -> None:
    with pytest.raises(ParameterError, match="mask has shape"):
        sigma_map(np.zeros((20, 20)), mask=np.ones((20, 21), dtype=bool))
    with pytest.raises(ParameterError, match="too small"):
        sigma_map(np.zeros((3, 3, 50)))
    with pytest.raises(ParameterError, match="no window"):
        sigma_map(np.zeros((40, 40, 40)))


@pytest.mark.parametrize("shape", [(40, 44, 50), (120, 90), (60, 60, 3)])
def test_a_scan_in_parts_has_the_map_of_the_whole(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    noisy = ramp(shape, 5, 15) * rng.standard_normal(shape) + 100
    noisy[:6] = 0  # a flat background
    noisy[20:24, 20:25] = np.nan
    whole = sigma_map(noisy, mask=np.isfinite(noisy), spacing=(1, 1, 2), magnitude=True)
    for step in (1, 7, shape[-1]):
        parts = (noisy[..., k : k + step] for k in range(0, shape[-1], step))
        found = local_sigma(shape, parts, spacing=(1, 1, 2), magnitude=True)
        assert np.array_equal(found.whole(), whole)
        assert np.array_equal(found.planes(1, 3), whole[..., 1:3])
    middle = float(np.median(whole))
    limited = found.scaled(2).within(1.9 * middle, 2.1 * middle).whole()
    assert np.allclose(limited, np.clip(2 * whole, 1.9 * middle, 2.1 * middle), rtol=1e-6)
    assert limited.min() < limited.max()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_medians_of_the_windows_that_are_known(share: float) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 5, 4))
    values[rng.random(values.shape) < share] = np.nan

    def median(window: np.ndarray) -> float:
        known = window[np.isfinite(window)]
        return float(np.median(known)) if known.size else float("nan")

    expected = generic_filter(values, median, size=3, mode="reflect")
    np.testing.assert_array_equal(_medians(values), expected)


@pytest.mark.parametrize("count", [1, 2, 100, 101])
def test_the_middle_is_numpys_median(count: int) -> None:
    values = np.random.default_rng(0).normal(size=count)
    assert _middle(values) == np.median(values)
