"""A marker off every axis of symmetry must lie at one place in space for every library."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from meddenoise import io
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


def marker_of(path: Path) -> np.ndarray:
    """The marker in RAS mm, as the format's reference library sees it."""
    if path.name.endswith(".nii.gz"):
        image = nib.load(path)
        index = np.argwhere(image.get_fdata() == 100)[0]
        return (image.affine @ [*index, 1])[:3]
    image = sitk.ReadImage(str(path))
    index = np.argwhere(sitk.GetArrayFromImage(image) == 100)[0][::-1]
    point = image.TransformIndexToPhysicalPoint([int(n) for n in index])
    return np.array(point) * [-1, -1, 1]


@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("case", CASES)
def test_the_marker_lies_where_other_libraries_see_it(
    tmp_path: Path, case: str, extension: str
) -> None:
    volume = volume_of(CASES[case])
    expected = (volume.affine @ [*MARKER, 1])[:3]
    path = io.write(volume, tmp_path / f"out{extension}")
    np.testing.assert_allclose(marker_of(path), expected, atol=1e-3)
    again = io.read(path)
    index = np.argwhere(again.array[0] == 100)[0]
    np.testing.assert_allclose((again.affine @ [*index, 1])[:3], expected, atol=1e-3)
    for other in (".nii.gz", ".nrrd", ".mha"):
        converted = io.write(again, tmp_path / f"via{other}")
        np.testing.assert_allclose(marker_of(converted), expected, atol=1e-3)


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
