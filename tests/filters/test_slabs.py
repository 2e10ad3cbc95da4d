from __future__ import annotations

import numpy as np
import pytest

from meddenoise.filters import bilateral, curvature_flow, gaussian, mean, median, slabs
from meddenoise.filters.slabs import in_slabs


@pytest.fixture
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs, "_SLAB_VOXELS", 18 * 10 * 8)


@pytest.mark.usefixtures("small_slabs")
def test_planes_are_seen_with_their_halo_and_no_more() -> None:
    array = np.arange(50 * 10 * 8, dtype=np.float32).reshape(50, 10, 8)
    seen = []

    def shifted(part: np.ndarray) -> np.ndarray:
        """Plane k of the result is plane k - 4 of the image."""
        seen.append(len(part))
        return np.concatenate([part[:1]] * 4 + [part[:-4]])

    expected = shifted(array)
    seen.clear()
    np.testing.assert_array_equal(in_slabs(shifted, array, halo=4), expected)
    assert sum(seen) > 50
    assert max(seen) <= 18
    # With too small a halo the seams show: or this test would look at nothing.
    assert not np.array_equal(in_slabs(shifted, array, halo=3), expected)


def test_what_fits_goes_in_one_piece() -> None:
    seen = []
    array = np.zeros((5, 6, 7), np.float32)
    in_slabs(lambda part: (seen.append(part.shape), part)[1], array, halo=2)
    assert seen == [(5, 6, 7)]


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (gaussian, {"sigma": 1.3}),
        (median, {"size": 3}),
        (mean, {"size": 5}),
        (bilateral, {"width": 1.2, "sigma_noise": 5}),
        (curvature_flow, {"iterations": 4}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_filters_give_what_one_piece_gives(
    function: object, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = np.random.default_rng(0).normal(100, 5, (60, 12, 8)).astype(np.float32)
    whole = function(noisy, spacing=(1, 1, 1.5), **options)
    monkeypatch.setattr(slabs, "_SLAB_VOXELS", 20 * 12 * 8)
    parts = function(noisy, spacing=(1, 1, 1.5), **options)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5)
