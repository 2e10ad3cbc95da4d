"""meddenoise.data.samples.shapes: distances are distances."""

from __future__ import annotations

import numpy as np
import pytest

from meddenoise.data.samples.shapes import capsule, curve, ellipsoid, smooth_min, turn


def at(*points: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = np.array(points, dtype=np.float32).T
    return x, y, z


def test_a_ball_is_exact() -> None:
    distance = ellipsoid(at((1, 2, 3), (1, 2, 13), (11, 2, 3)), (1, 2, 3), (5, 5, 5))
    np.testing.assert_allclose(distance, [-5, 5, 5], atol=0.01)


def test_an_ellipsoid_is_zero_on_its_surface_and_may_be_endless() -> None:
    np.testing.assert_allclose(
        ellipsoid(at((4, 0, 0), (0, 7, 0), (0, 0, -2)), (0, 0, 0), (4, 7, 2)), 0, atol=1e-5
    )
    tube = ellipsoid(at((3, 0, 900), (8, 0, -50)), (0, 0, 0), (3, 3, np.inf))
    np.testing.assert_allclose(tube, [0, 5], atol=1e-5)


def test_a_capsule_has_round_ends_and_tapers() -> None:
    distance = capsule(at((0, 0, -3), (4, 0, 5), (0, 9, 10)), (0, 0, 0), (0, 0, 10), 2, 4)
    np.testing.assert_allclose(distance, [1, 1, 5], atol=1e-5)


def test_a_curve_goes_through_its_points() -> None:
    points = [(0, 0, 0), (10, 0, 0), (10, 20, 5)]
    path, radii = curve(points, [1, 2, 4], step=0.25)
    for point in points:
        assert np.linalg.norm(path - point, axis=1).min() < 0.2
    assert (radii[0], radii[-1]) == (1, 4)
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.4


def test_smooth_min_rounds_only_the_crease() -> None:
    a, b = np.float32([0, 1, 5]), np.float32([5, 1, 0])
    blended = smooth_min(a, b, 2)
    np.testing.assert_allclose(blended, [0, 0.5, 0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turn_keeps_distances_and_can_be_undone(axis: int) -> None:
    p = at((1, 2, 3), (-4, 0, 2))
    turned = turn(p, (1, 1, 1), axis, 35)
    back = turn(turned, (1, 1, 1), axis, -35)
    np.testing.assert_allclose(np.stack(back), np.stack(p), atol=1e-5)
    offset = [np.stack(q) - 1 for q in (p, turned)]
    np.testing.assert_allclose(*[np.linalg.norm(o, axis=0) for o in offset], rtol=1e-5)
    assert np.abs(np.stack(turned) - np.stack(p)).max() > 0.5
