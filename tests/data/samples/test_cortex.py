"""meddenoise.data.samples.cortex: sulci go in from the hull, and no deeper than told."""

from __future__ import annotations

import numpy as np
import pytest

from meddenoise.data.samples.cortex import Folding, pial_depth
from meddenoise.data.samples.fields import Grid, Lattice


@pytest.fixture(scope="module")
def ball() -> tuple[Grid, tuple, np.ndarray, Folding]:
    grid = Grid((72, 72, 72), (108.0, 108.0, 108.0))
    x, y, z = np.broadcast_arrays(*grid.axes)
    surface = (48 - np.sqrt(x**2 + y**2 + z**2)).astype(np.float32)
    rng = np.random.default_rng(0)
    folding = Folding(0.5, Lattice(rng, grid.extent, 24.0), Lattice(rng, grid.extent, 19.0))
    return grid, (x, y, z), surface, folding


def folded(ball: tuple, depth: float) -> np.ndarray:
    grid, position, surface, folding = ball
    flat = np.zeros_like(surface)
    return pial_depth(folding, grid, position, surface, flat + depth, (flat, flat, flat))


def test_csf_outside_and_never_deeper_than_the_hull_allows(ball: tuple) -> None:
    surface, pial = ball[2], folded(ball, 14.0)
    assert pial.shape == surface.shape
    assert (pial <= surface + 1e-5).all()
    assert (pial[surface < 0] < 0).all()


def test_sulci_open_the_surface_and_end_at_their_depth(ball: tuple) -> None:
    surface, pial = ball[2], folded(ball, 14.0)
    near = (surface > 2) & (surface < 10)
    assert 0.02 < np.mean(pial[near] < 0) < 0.3
    assert (pial[surface > 17] > 0).all()
    # Without folding a tenth of this shell would be within 3 mm of CSF.
    assert np.mean(pial[near] < 3) > 0.4


def test_deeper_sulci_make_more_cortex(ball: tuple) -> None:
    ribbon = [np.mean((p > 0) & (p < 3)) for p in (folded(ball, 6.0), folded(ball, 18.0))]
    assert ribbon[1] > 1.3 * ribbon[0]
