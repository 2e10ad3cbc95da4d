"""A marker off every axis of symmetry lies at one place in space for every library.

Files of each format and type are made by its own reference library, read by all that claim the
format, and read again by all after our reader and writer have had them: within a micrometre.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from meddenoise import io

SHAPE, MARKER, SPACING = (5, 6, 7), (1, 4, 2), (0.4, 0.7, 5.0)
ORIGIN = np.array([11.0, -7.0, 3.5])  # LPS mm, as all here but NIfTI's
TOLERANCE = 1e-3
# What ITK's wrapping makes Python say when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute")
Readers = dict[str, Callable[[Path], np.ndarray]]

#: Who claims which format.
CLAIMS = {
    ".nii.gz": ("meddenoise", "SimpleITK", "itk", "nibabel"),
    ".nrrd": ("meddenoise", "SimpleITK", "itk", "pynrrd"),
    ".mha": ("meddenoise", "SimpleITK", "itk"),
    "": ("meddenoise", "SimpleITK", "itk", "dcm2niix", "highdicom"),
}
FILES = (".nii.gz", ".nrrd", ".mha")


def axes(order: tuple[int, ...], signs: tuple[int, ...], turn: float = 0.0) -> np.ndarray:
    """Permuted, flipped and turned directions as columns."""
    matrix = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[row, column] = sign
    c, s = np.cos(turn), np.sin(turn)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return about_x @ about_z @ matrix


ORIENTATIONS = {
    "axial": axes((0, 1, 2), (1, 1, 1)),
    "sagittal": axes((1, 2, 0), (1, -1, -1)),
    "coronal": axes((0, 2, 1), (1, -1, 1)),
    "oblique": axes((0, 1, 2), (1, 1, 1), 0.3),
    "oblique sagittal": axes((1, 2, 0), (1, -1, -1), -0.4),
    "left-handed": axes((0, 1, 2), (-1, 1, 1)),
    "left-handed oblique": axes((0, 1, 2), (1, 1, -1), 0.3),
}


def voxels(kind: str) -> np.ndarray:
    """Low numbers, all different along an axis, and the marker."""
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 97
    array[MARKER] = 120
    return array.astype(kind)


def lps(directions: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions * SPACING, ORIGIN
    return affine


def make_file(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """By the library that the format is at home in."""
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array, np.diag([-1, -1, 1, 1]) @ affine, dtype=array.dtype), path)
    elif path.suffix == ".nrrd":
        header = {
            "space": "left-posterior-superior",
            "space directions": affine[:3, :3].T,
            "space origin": affine[:3, 3],
            "kinds": ["domain"] * 3,
        }
        nrrd.write(str(path), array, header)
    else:
        image = sitk.GetImageFromArray(array.T)
        image.SetSpacing(SPACING)
        image.SetOrigin([float(n) for n in affine[:3, 3]])
        image.SetDirection([float(n) for n in (affine[:3, :3] / SPACING).ravel()])
        sitk.WriteImage(image, str(path))
    return path


def check(readers: Readers, path: Path, expected: np.ndarray, extension: str) -> None:
    """Everyone who claims the format sees the marker where it is."""
    for name in CLAIMS[extension]:
        seen = readers[name](path)
        np.testing.assert_allclose(seen, expected, atol=TOLERANCE, err_msg=name, rtol=0)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("extension", FILES)
def test_every_library_sees_it_in_a_file(
    readers: Readers, tmp_path: Path, extension: str, orientation: str, kind: str
) -> None:
    affine = lps(ORIENTATIONS[orientation])
    expected = (affine @ [*MARKER, 1])[:3]
    source = make_file(tmp_path / f"source{extension}", voxels(kind), affine)
    check(readers, source, expected, extension)
    volume = io.read(source)
    assert volume.source.storage.dtype == kind
    np.testing.assert_array_equal(volume.array[0], voxels(kind))
    for other in FILES if kind == "i2" else [extension]:
        written = io.write(volume, tmp_path / f"written{other}")
        check(readers, written, expected, other)
        again = io.read(written)
        assert again.source.storage.dtype == kind
        np.testing.assert_array_equal(again.array, volume.array)


@pytest.mark.parametrize("kind", ["u1", "u2", "i2"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_every_library_sees_it_in_a_dicom_series(
    readers: Readers,
    make_series: Callable[..., Path],
    tmp_path: Path,
    modality: str,
    orientation: str,
    kind: str,
) -> None:
    affine = lps(ORIENTATIONS[orientation])
    expected = (affine @ [*MARKER, 1])[:3]
    rows = affine[:3, :3] / SPACING
    scale = {"RescaleSlope": 2, "RescaleIntercept": -50} if modality == "CT" else {}
    series = make_series(
        voxels(kind).T,
        per_slice=lambda number: {
            "ImagePositionPatient": [float(n) for n in (affine @ [0, 0, number, 1])[:3].round(9)]
        },
        Modality=modality,
        ImageOrientationPatient=[float(n) for n in (*rows[:, 0].round(10), *rows[:, 1].round(10))],
        PixelSpacing=[SPACING[1], SPACING[0]],
        SliceThickness=SPACING[2],
        **scale,
    )
    check(readers, series, expected, "")
    volume = io.read(series)
    assert volume.source.storage.dtype == kind
    check(readers, io.write(volume, tmp_path / "derived"), expected, "")
    for other in FILES if kind == "i2" else ():
        check(readers, io.write(volume, tmp_path / f"written{other}"), expected, other)
