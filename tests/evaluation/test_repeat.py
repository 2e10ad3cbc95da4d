from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ParameterError
from meddenoise.evaluation.repeat import error_by_repeat


@pytest.mark.parametrize("smooth", [0, 0.8])
def test_it_is_the_error_to_the_truth_also_in_correlated_noise(smooth: float) -> None:
    draws = np.random.default_rng(0)
    clean = 100 + 50 * np.sin(np.arange(60) / 5)[:, None, None] * np.ones((60, 60, 20))
    one, other = (
        clean + 10 * gaussian_filter(draws.standard_normal(clean.shape), smooth) for _ in range(2)
    )
    denoised = gaussian_filter(one, 1)
    truth = float(((denoised - clean) ** 2).mean())
    found = error_by_repeat(denoised, other, noisy=one)
    assert found.mse == pytest.approx(truth, rel=0.1)
    assert found.noise_variance == pytest.approx(((one - clean) ** 2).mean(), rel=0.05)
    assert found.uncertainty < 0.2 * truth
    if not smooth:
        assert error_by_repeat(denoised, other, sigma=10).mse == pytest.approx(truth, rel=0.1)
    inside = np.zeros(clean.shape, dtype=bool)
    inside[20:40] = True
    part = error_by_repeat(denoised, other, noisy=one, mask=inside)
    expected = float(((denoised - clean)[inside] ** 2).mean())
    # Its standard error is that of independent voxels.
    assert abs(part.mse - expected) < (10 if smooth else 4) * part.uncertainty
    assert part.uncertainty > 1.2 * found.uncertainty  # a third of the voxels


def test_what_tells_nothing() -> None:
    draws = np.random.default_rng(0)
    clean = np.zeros((40, 40))
    one, other = draws.normal(0, 10, (2, 40, 40))
    with pytest.raises(ParameterError, match="too small to tell"):
        error_by_repeat(clean, other, noisy=one)  # the truth itself
    with pytest.raises(ParameterError, match="is the noisy scan itself"):
        error_by_repeat(one / 2, one, noisy=one)
    with pytest.raises(ParameterError, match="one of the two"):
        error_by_repeat(one, other)
    with pytest.raises(ParameterError, match="sigma is -1"):
        error_by_repeat(one, other, sigma=-1)
    with pytest.raises(ParameterError, match="shape"):
        error_by_repeat(one[1:], other, sigma=1)
