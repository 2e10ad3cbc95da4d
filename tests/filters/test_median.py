from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import median


def test_by_hand() -> None:
    array = np.random.default_rng(0).standard_normal((9, 9, 9)).astype(np.float32)
    filtered = median(array, spacing=(1, 1, 1.5))
    assert filtered[4, 5, 6] == np.median(array[3:6, 4:7, 5:8])
    assert filtered.dtype == np.float32


def test_thick_slices_do_not_mix() -> None:
    array = np.random.default_rng(0).standard_normal((9, 9, 5)).astype(np.float32)
    filtered = median(array, spacing=(0.9, 0.9, 3.0))
    assert filtered[4, 5, 2] == np.median(array[3:6, 4:7, 2])


def test_an_edge_stays_and_an_impulse_goes() -> None:
    array = np.zeros((20, 20), dtype=np.float32)
    array[10:] = 1
    array[4, 4] = 50
    expected = array.copy()
    expected[4, 4] = 0
    np.testing.assert_array_equal(median(array, spacing=(1, 1)), expected)


@pytest.mark.parametrize("size", [0, 2, -3])
def test_impossible_size(size: int) -> None:
    with pytest.raises(ParameterError, match="odd number"):
        median(np.zeros((4, 4), np.float32), spacing=(1, 1), size=size)
