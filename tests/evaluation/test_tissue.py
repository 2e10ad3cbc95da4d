from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from meddenoise.evaluation.tissue import scan_tissue
from meddenoise.noise.tissue import tissue_mask


def head(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """A magnitude image of a ball of 300 in air, and where the ball is."""
    draws = np.random.default_rng(0)
    grid = np.meshgrid(*[np.arange(n) - n / 2 for n in (48, 48, 40)], indexing="ij")
    ball = sum(g**2 for g in grid) < 15**2
    parts = [np.where(ball, 300.0, 0) + draws.normal(0, sigma, ball.shape), 0.0]
    parts[1] = draws.normal(0, sigma, ball.shape)
    return np.hypot(*parts), ball


def test_strong_noise_around_a_head_is_no_tissue() -> None:
    image, ball = head(40)
    assert tissue_mask(image).mean() > 0.95  # or the test looks at nothing
    found = scan_tissue(image)
    assert (found & ball).sum() > 0.99 * ball.sum()
    near = binary_dilation(ball, iterations=2)
    assert (found & ~near).sum() < 0.02 * (~near).sum()


def test_what_has_no_such_background_is_left_as_it_is() -> None:
    image, _ = head(40)
    assert np.array_equal(scan_tissue(image, modality="CT"), tissue_mask(image))
    assert np.array_equal(scan_tissue(image, units="HU"), tissue_mask(image, units="HU"))
    full = np.random.default_rng(0).normal(300, 20, (32, 32, 16))
    assert scan_tissue(full).all()
    assert not scan_tissue(np.full((8, 8), np.nan)).any()
