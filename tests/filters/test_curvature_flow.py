from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import curvature_flow


def distance(shape: tuple[int, ...], spacing: tuple[float, ...]) -> np.ndarray:
    """From the centre, in mm."""
    grid = np.indices(shape)
    return np.sqrt(
        sum(((g - (n - 1) / 2) * s) ** 2 for g, n, s in zip(grid, shape, spacing, strict=True))
    ).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "spacing", "time"),
    [
        ((65, 65), (1.0, 1.0), 40 * 0.125),
        ((65, 65), (0.5, 0.5), 40 * 0.125 * 0.5**2),
        ((65, 65, 33), (1.0, 1.0, 2.0), 40 * 0.0625),
    ],
)
def test_spheres_shrink_as_they_should(
    shape: tuple[int, ...], spacing: tuple[float, ...], time: float
) -> None:
    before = distance(shape, spacing)
    after = curvature_flow(before, spacing=spacing, iterations=40)
    # dr/dt = -(d - 1) / r: the sphere that is at r now was at sqrt(r^2 + 2 (d - 1) t).
    was = np.sqrt(before.astype(np.float64) ** 2 + 2 * (len(shape) - 1) * time)
    ring = (before > 12 * min(spacing)) & (before < 22 * min(spacing))
    moved = (was - before)[ring].mean()
    assert (after - before)[ring].mean() == pytest.approx(moved, rel=0.05)


def test_as_many_steps_as_the_noise_asks_for() -> None:
    clean = 20 * distance((32, 32, 24), (1, 1, 1))
    draws = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)

    def error(sigma: float, iterations: int | None) -> float:
        noisy = clean + np.float32(sigma) * draws
        filtered = curvature_flow(
            noisy, spacing=(1, 1, 1), sigma_noise=sigma, iterations=iterations
        )
        return float(np.mean((filtered - clean) ** 2))

    assert error(1, None) < 1.05 * error(1, 1) < error(1, 10)
    assert error(60, None) < 1.05 * error(60, 10) < error(60, 1)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e12])
def test_the_unit_of_intensities_does_not_matter(scale: float) -> None:
    # 1e-6: a diffusion coefficient in mm^2/s.
    image = np.random.default_rng(1).normal(700, 60, (16, 16, 12)).astype(np.float32)
    expected = curvature_flow(image, spacing=(1, 1, 1), iterations=5)
    found = curvature_flow(image * np.float32(scale), spacing=(1, 1, 1), iterations=5)
    np.testing.assert_allclose(found / scale, expected, rtol=1e-4)
    assert np.abs(expected - image).max() > 30


def test_impossible_iterations() -> None:
    with pytest.raises(ParameterError, match="iterations is 0"):
        curvature_flow(np.zeros((4, 4), np.float32), spacing=(1, 1), iterations=0)
