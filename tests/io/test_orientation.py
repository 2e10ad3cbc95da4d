"""Axes that were turned and flipped are turned back, and other grids left alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from meddenoise.io.orientation import back_on_grid
from meddenoise.volume import Volume

SHAPE, MARKER, SPACING = (5, 6, 7), (1, 4, 2), (0.4, 0.7, 5.0)


def axes(order: tuple[int, ...], signs: tuple[int, ...], turn: float) -> np.ndarray:
    """Permuted, flipped and turned directions as columns."""
    matrix = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[row, column] = sign
    c, s = np.cos(turn), np.sin(turn)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ matrix


CASES = {
    "axial": axes((0, 1, 2), (1, 1, 1), 0),
    "radiological": axes((0, 1, 2), (-1, -1, 1), 0),
    "left-handed": axes((0, 1, 2), (-1, 1, 1), 0),
    "sagittal": axes((1, 2, 0), (-1, -1, 1), 0),
    "coronal": axes((0, 2, 1), (1, -1, 1), 0),
    "oblique": axes((0, 1, 2), (-1, -1, 1), 0.3),
    "oblique sagittal": axes((1, 2, 0), (-1, -1, -1), -0.4),
}


def volume_of(directions: np.ndarray) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = directions * SPACING
    affine[:3, 3] = 11.0, -7.0, 3.5
    array = np.zeros(SHAPE, np.float32)
    array[MARKER] = 100
    return Volume.from_array(array, affine=affine)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("order", "flips"),
    list(itertools.product([(0, 1, 2), (2, 0, 1), (1, 0, 2)], [(), (0,), (1, 2)])),
)
def test_turned_axes_are_turned_back(
    case: str, order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    volume = volume_of(CASES[case])
    turned = volume.array.transpose(0, *(1 + axis for axis in order))
    change = np.zeros((4, 4))
    for new, old in enumerate(order):
        change[old, new] = 1
    change[3, 3] = 1
    affine = volume.affine @ change
    for axis in flips:
        flip = np.eye(4)
        flip[axis, axis], flip[axis, 3] = -1, turned.shape[1 + axis] - 1
        affine = affine @ flip
        turned = np.flip(turned, 1 + axis)
    array, found = back_on_grid(turned, affine, volume.affine, volume.shape)
    np.testing.assert_array_equal(array, volume.array)
    np.testing.assert_array_equal(found, volume.affine)


def test_another_grid_is_left_alone() -> None:
    volume = volume_of(CASES["axial"])
    moved = volume.affine.copy()
    moved[:3, 3] += 1
    for affine in (moved, volume.affine @ np.diag([2, 1, 1, 1])):
        array, found = back_on_grid(volume.array, affine, volume.affine, volume.shape)
        assert array is volume.array
        assert found is affine
    cropped = volume.array[:, 1:]
    assert back_on_grid(cropped, moved, volume.affine, volume.shape)[0] is cropped
