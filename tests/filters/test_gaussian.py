from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import gaussian


def impulse_widths(spacing: tuple[float, ...], sigma: float) -> list[float]:
    """Standard deviation in mm of the filtered impulse along each axis."""
    array = np.zeros((61,) * len(spacing), dtype=np.float32)
    array[(30,) * len(spacing)] = 1
    blurred = gaussian(array, spacing=spacing, sigma=sigma).astype(np.float64)
    assert blurred.sum() == pytest.approx(1, abs=1e-4)
    widths = []
    for axis, step in enumerate(spacing):
        others = tuple(k for k in range(len(spacing)) if k != axis)
        place = (np.arange(61) - 30) * step
        widths.append(float(np.sqrt((blurred.sum(axis=others) * place**2).sum())))
    return widths


def test_the_kernel_is_round_in_millimetres() -> None:
    assert impulse_widths((1.0, 1.0, 2.0), 3.0) == pytest.approx([3.0, 3.0, 3.0], rel=0.01)
    assert impulse_widths((0.5, 0.5), 2.0) == pytest.approx([1.0, 1.0], rel=0.01)


def test_white_noise_falls_as_it_should() -> None:
    noise = np.random.default_rng(0).standard_normal((96, 96, 96)).astype(np.float32)
    smoothed = gaussian(noise, spacing=(1, 1, 1), sigma=1.2)
    inside = smoothed[5:-5, 5:-5, 5:-5]
    # The sum of the squared kernel is 1 / (2 sqrt(pi) sigma) along each axis.
    assert inside.std() == pytest.approx((2 * np.sqrt(np.pi) * 1.2) ** -1.5, rel=0.02)
    assert smoothed.dtype == np.float32


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_impossible_sigma(sigma: float) -> None:
    with pytest.raises(ParameterError, match="above 0"):
        gaussian(np.zeros((4, 4), np.float32), spacing=(1, 1), sigma=sigma)
