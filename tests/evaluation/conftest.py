"""Images that are a formula, so that other implementations can be asked about the very same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Pair = tuple[np.ndarray, np.ndarray]


def make_scene(shape: tuple[int, ...], *, noise: float = 12.0) -> Pair:
    """Waves with a disc, and the same with noise; about 0 to 255, float64."""
    draws = np.random.default_rng(0)
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    away = (grid[0] - shape[0] / 2) ** 2 + (grid[1] - shape[1] / 2) ** 2
    clean = 100 + 60 * np.sin(grid[0] / 7.0) * np.cos(grid[1] / 11.0)
    clean = clean + 40 * (away < (min(shape) / 4) ** 2)
    return clean, clean + draws.normal(0, noise, shape)


@pytest.fixture
def scene() -> Callable[..., Pair]:
    """``scene(shape, noise=12)``: a clean and a noisy image."""
    return make_scene
