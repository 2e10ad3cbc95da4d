"""meddenoise.data.samples.fields: grids and random fields in millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from meddenoise.data.samples.fields import Grid, Lattice, smooth_noise


def test_grid_is_centred_and_fills_its_extent() -> None:
    grid = Grid((4, 5, 6), (8.0, 15.0, 6.0))
    assert grid.spacing == (2.0, 3.0, 1.0)
    for i, axis in enumerate(grid.axes):
        line = axis.ravel()
        assert line.sum() == pytest.approx(0)
        assert grid.affine[i, 3] == pytest.approx(line[0])
        assert line[-1] - line[0] + grid.spacing[i] == pytest.approx(grid.extent[i])


def test_smooth_noise_has_unit_variance() -> None:
    grid = Grid((60, 60, 60), (180.0, 180.0, 180.0))
    field = smooth_noise(np.random.default_rng(0), grid, 6)
    assert field.dtype == np.float32
    assert field.mean() == pytest.approx(0, abs=0.06)
    assert field.std() == pytest.approx(1, abs=0.05)


def test_smooth_noise_is_the_same_field_at_any_resolution() -> None:
    extent = (90.0, 60.0, 120.0)
    coarse = smooth_noise(np.random.default_rng(3), Grid((15, 10, 20), extent), 20)
    fine = smooth_noise(np.random.default_rng(3), Grid((45, 30, 60), extent), 20)
    np.testing.assert_allclose(fine[1::3, 1::3, 1::3], coarse, atol=1e-4)


def test_smooth_noise_keeps_its_axes_in_order() -> None:
    """A line of voxels is much alike to its neighbours along each axis, at any axis length."""
    field = smooth_noise(np.random.default_rng(1), Grid((20, 30, 40), (20.0, 30.0, 40.0)), 10)
    assert field.shape == (20, 30, 40)
    for axis in range(3):
        assert np.abs(np.diff(field, axis=axis)).mean() < 0.2


def test_lattice_swings_with_its_wavelength() -> None:
    lattice = Lattice(np.random.default_rng(0), (150, 150, 150), 20.0)
    x, y, z = np.meshgrid(*[np.linspace(-60, 60, 40, dtype=np.float32)] * 3, indexing="ij")
    here = lattice.at(x, y, z)
    half, full = lattice.at(x + 10, y, z), lattice.at(x + 20, y, z)
    assert here.std() == pytest.approx(1, abs=0.1)
    # Isotropic band-pass noise is correlated as sinc(k r): least at about 0.7 wavelengths.
    assert np.corrcoef(here.ravel(), half.ravel())[0, 1] < 0.1
    assert np.corrcoef(here.ravel(), lattice.at(x + 14, y, z).ravel())[0, 1] < -0.1
    assert np.corrcoef(here.ravel(), full.ravel())[0, 1] > -0.1
