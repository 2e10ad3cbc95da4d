from __future__ import annotations

import numpy as np
import pytest

from meddenoise.report.planes import Plane, middle_planes
from meddenoise.volume import Volume

# Voxels to RAS+ mm: as NIfTI often has it, as axial DICOM, and as sagittal DICOM, a little oblique.
RAS = np.diag([1.0, 2.0, 3.0, 1.0])
LPS = np.diag([-1.0, -2.0, 3.0, 1.0])
TILT = np.deg2rad(10)
PIR = np.array(
    [
        [0, 0, 3, 0],
        [-np.cos(TILT), -np.sin(TILT), 0, 0],
        [np.sin(TILT), -np.cos(TILT), 0, 0],
        [0, 0, 0, 1],
    ]
)


def marked(affine: np.ndarray, direction: tuple[int, int, int]) -> Volume:
    """A volume with a bright mark on the patient's side that ``direction`` (RAS) points to."""
    shape = np.array((21, 25, 31))  # odd, so that the middle stays in place when axes are flipped
    array = np.zeros((1, *shape), dtype=np.float32)
    along = np.linalg.inv(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)) @ direction
    axis = int(np.argmax(np.abs(along)))
    place = list(shape // 2)
    place[axis] = shape[axis] - 2 if along[axis] > 0 else 1
    array[(0, *place)] = 1
    return Volume(array, affine)


def side_of_mark(plane: Plane) -> str:
    row, column = np.argwhere(plane.image == 1)[0]
    height, width = plane.image.shape
    if abs(row / height - 0.5) > abs(column / width - 0.5):
        return "top" if row < height / 2 else "bottom"
    return "left" if column < width / 2 else "right"


@pytest.mark.parametrize("affine", [RAS, LPS, PIR], ids=["RAS", "LPS", "PIR"])
@pytest.mark.parametrize(
    ("direction", "seen"),
    [
        ((1, 0, 0), {"coronal": "left", "axial": "left"}),  # the patient's right
        ((0, 1, 0), {"sagittal": "left", "axial": "top"}),  # anterior
        ((0, 0, 1), {"sagittal": "top", "coronal": "top"}),  # superior
    ],
)
def test_the_letters_tell_where_a_mark_is(
    affine: np.ndarray, direction: tuple[int, int, int], seen: dict[str, str]
) -> None:
    planes = {plane.name: plane for plane in middle_planes(marked(affine, direction))}
    assert list(planes) == ["sagittal", "coronal", "axial"]
    letter = "RAS"[int(np.argmax(direction))]
    for name, side in seen.items():
        assert side_of_mark(planes[name]) == side
        assert (planes[name].left if side == "left" else planes[name].top) == letter


def test_pixels_have_the_shape_of_voxels() -> None:
    volume = Volume(np.zeros((1, 20, 24, 30), np.float32), RAS)
    aspects = {plane.name: plane.aspect for plane in middle_planes(volume)}
    assert aspects == {"sagittal": 1.5, "coronal": 3.0, "axial": 2.0}
    shapes = {plane.name: plane.image.shape for plane in middle_planes(volume)}
    assert shapes == {"sagittal": (30, 24), "coronal": (30, 20), "axial": (24, 20)}


def test_an_image_is_shown_as_it_is_stored() -> None:
    image = np.arange(12.0).reshape(4, 3)  # (X, Y): 4 columns, 3 rows
    (plane,) = middle_planes(Volume.from_array(image, spacing=(1, 2)))
    np.testing.assert_array_equal(plane.image, image.T)
    assert (plane.aspect, plane.left, plane.top) == (2, "", "")


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((20, 24, 1), ["axial"]),
        ((1, 20, 24), ["sagittal"]),
        ((20, 24, 5), ["axial"]),
        ((20, 24, 8), ["sagittal", "coronal", "axial"]),
        ((5, 5, 5), ["sagittal", "coronal", "axial"]),
        ((1, 1, 9), ["sagittal", "coronal", "axial"]),
    ],
)
def test_thin_cuts_are_left_out_but_never_all(shape: tuple[int, ...], names: list[str]) -> None:
    planes = list(middle_planes(Volume(np.zeros((1, *shape), np.float32), np.eye(4))))
    assert [plane.name for plane in planes] == names
