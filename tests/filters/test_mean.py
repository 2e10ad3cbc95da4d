from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import mean


def test_by_hand() -> None:
    array = np.random.default_rng(0).standard_normal((9, 9, 9)).astype(np.float32)
    filtered = mean(array, spacing=(1, 1, 1.5), size=3)
    assert filtered[4, 5, 6] == pytest.approx(array[3:6, 4:7, 5:8].mean(), abs=1e-6)
    border = [[array[0, 0], array[0, 1]], [array[0, 0], array[0, 1]], [array[1, 0], array[1, 1]]]
    expected = np.mean([(2 * first[4:7] + second[4:7]) / 3 for first, second in border])
    assert filtered[0, 0, 5] == pytest.approx(expected, abs=1e-6)
    assert filtered.dtype == np.float32


def test_thick_slices_do_not_mix() -> None:
    array = np.random.default_rng(0).standard_normal((9, 9, 5))
    filtered = mean(array, spacing=(0.9, 0.9, 3.0), size=5)
    assert filtered[4, 5, 2] == pytest.approx(array[2:7, 3:8, 2].mean())


def test_more_noise_gets_a_larger_box() -> None:
    noise = np.random.default_rng(0).standard_normal((40, 40, 40)).astype(np.float32)
    # Nothing but noise: the largest box, which keeps 1 / 7^3 of the variance.
    inside = mean(noise, spacing=(1, 1, 1))[4:-4, 4:-4, 4:-4]
    assert inside.std() == pytest.approx(7**-1.5, rel=0.1)


def test_where_it_would_only_blur_nothing_is_done_and_it_says_so() -> None:
    checks = np.indices((32, 32, 32)).sum(axis=0) % 2 * 100.0
    noisy = checks + np.random.default_rng(0).standard_normal(checks.shape)
    with pytest.warns(UserWarning, match="give a size"):
        np.testing.assert_allclose(mean(noisy, spacing=(1, 1, 1), sigma_noise=1), noisy)


@pytest.mark.parametrize("size", [0, 2, -3])
def test_impossible_size(size: int) -> None:
    with pytest.raises(ParameterError, match="odd number"):
        mean(np.zeros((4, 4), np.float32), spacing=(1, 1), size=size)
