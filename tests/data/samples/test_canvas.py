"""meddenoise.data.samples.canvas: solids land whole, with partial-volume edges."""

from __future__ import annotations

import numpy as np
import pytest

from meddenoise.data.samples.canvas import Canvas
from meddenoise.data.samples.fields import Grid
from meddenoise.data.samples.shapes import ellipsoid


def plain(shape: tuple[int, int, int] = (40, 40, 40), **options: object) -> Canvas:
    grid = Grid(shape, (80.0, 80.0, 80.0))
    settings = {"background": 0.0, "warp": 0.0, **options}
    return Canvas(grid, np.random.default_rng(0), **settings)


def test_a_painted_ball_has_its_volume() -> None:
    canvas = plain()
    canvas.paint(ellipsoid(canvas.position, (3, -2, 1), (20, 20, 20)), 5.0)
    volume = canvas.image.sum() / 5 * 8  # voxels of 8 mm^3
    assert volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.01)
    partial = (canvas.image > 0.01) & (canvas.image < 4.99)
    assert partial.any()


@pytest.mark.parametrize(
    "options", [{}, {"warp": 2.0}, {"size": (0.9, 1.1, 1.0)}, {"tilt": (3.0, -3.0, 3.0)}]
)
def test_a_box_holds_all_of_what_is_drawn_in_it(options: dict) -> None:
    whole, boxed = plain(**options), plain(**options)
    centre, radii = (18, -12, 22), (9, 5, 7)
    whole.paint(ellipsoid(whole.position, centre, radii), 1.0)
    box = boxed.around(centre, radii)
    boxed.paint(ellipsoid(boxed.at(box), centre, radii), 1.0, box)
    assert whole.image.sum() > 50
    np.testing.assert_array_equal(boxed.image, whole.image)


def test_a_mirrored_tube_is_symmetric() -> None:
    canvas = plain()
    distance, box = canvas.tube([(5, 0, -20), (15, 10, 20)], [4, 3], mirror=True)
    canvas.paint(distance, 1.0, box)
    assert canvas.image.sum() > 100
    np.testing.assert_allclose(canvas.image, canvas.image[::-1], atol=1e-6)


def test_a_tube_that_leaves_the_volume_is_cut() -> None:
    canvas = plain()
    distance, box = canvas.tube([(0, 0, 30), (0, 0, 300)], [5, 5])
    canvas.paint(distance, 1.0, box)
    assert canvas.image[20, 20, -1] == 1
    assert canvas.image[:, :, 0].sum() == 0


def test_within_limits_the_paint() -> None:
    canvas = plain()
    left = (canvas.position[0] < 0).astype(np.float32)
    canvas.paint(np.full(canvas.grid.shape, -9, np.float32), 7.0, within=left)
    np.testing.assert_array_equal(canvas.image, 7 * left)
