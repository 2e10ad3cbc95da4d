from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from meddenoise import io
from meddenoise.errors import GeometryError

C, S = np.cos(0.3), np.sin(0.3)
ORIENTATIONS = {
    "axial": [1, 0, 0, 0, 1, 0],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "coronal": [1, 0, 0, 0, 0, -1],
    "flipped": [-1, 0, 0, 0, 1, 0],
    "oblique": [C, S, 0, -S, C, 0],
    "double oblique": [C, S * C, S * S, -S, C * C, C * S],
}


def places(orientation: list[float], step: float = 5.0) -> Callable[[int], dict[str, object]]:
    normal = np.cross(orientation[:3], orientation[3:])

    def at(number: int) -> dict[str, object]:
        position = np.array([12.0, -7, 3]) + normal * step * number
        return {"ImagePositionPatient": [float(f"{x:.8g}") for x in position]}

    return at


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_marker_lies_where_itk_sees_it(
    make_series: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    orientation = [float(f"{x:.10g}") for x in ORIENTATIONS[name]]
    voxels = np.zeros((3, 4, 5), np.uint16)
    voxels[2, 1, 3] = 100
    place = make_series(voxels, per_slice=places(orientation), ImageOrientationPatient=orientation)
    volume = io.read(place)
    assert volume.source.irregular == ()
    assert volume.spacing == pytest.approx((0.4, 0.7, 5))
    ours = (volume.affine @ [*np.argwhere(volume.array[0] == 100)[0], 1])[:3]
    for directory in (place, io.write(volume, tmp_path / "out")):
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(directory))
        image = sitk.ReadImage(files)
        index = np.argwhere(sitk.GetArrayFromImage(image) == 100)[0][::-1]
        point = image.TransformIndexToPhysicalPoint([int(n) for n in index])
        np.testing.assert_allclose(ours, np.array(point) * [-1, -1, 1], atol=1e-3)


IRREGULAR = {
    "gap": ([0, 5, 10, 20, 25], "missing"),
    "uneven": ([0, 5, 9, 20, 22], "unevenly"),
    "duplicate": ([0, 5, 5, 10, 15], "lie where another does"),
}


@pytest.mark.parametrize("name", IRREGULAR)
def test_irregular_stacks_are_named_and_stay_dicom(
    make_series: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    heights, word = IRREGULAR[name]
    voxels = np.arange(5 * 4 * 5, dtype=np.uint16).reshape(5, 4, 5)
    place = make_series(voxels, per_slice=lambda n: {"ImagePositionPatient": [0, 0, heights[n]]})
    volume = io.read(place)
    assert word in " ".join(volume.source.irregular)
    assert volume.source.oddities[0] in volume.source.irregular
    io.write(volume, tmp_path / "out")
    again = io.read(tmp_path / "out")
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_array_equal(again.affine, volume.affine)
    for extension in (".nii.gz", ".nrrd", ".mha"):
        with pytest.raises(GeometryError, match=word):
            io.write(volume, tmp_path / f"out{extension}")


def test_slices_at_one_place_do_not_make_the_others_uneven(
    make_series: Callable[..., Path],
) -> None:
    heights, _ = IRREGULAR["duplicate"]
    place = make_series(
        np.arange(100, dtype=np.uint16).reshape(5, 4, 5),
        per_slice=lambda n: {"ImagePositionPatient": [0, 0, heights[n]]},
    )
    assert io.read(place).source.irregular == ("1 slices lie where another does.",)


def test_slices_of_micro_ct_lie_apart(make_series: Callable[..., Path], ramp: np.ndarray) -> None:
    place = make_series(
        ramp, PixelSpacing=[0.003, 0.003],
        per_slice=lambda n: {"ImagePositionPatient": [0, 0, 0.003 * n]},
    )  # fmt: skip
    volume = io.read(place)
    assert (volume.channels, volume.shape) == (1, (5, 4, 3))
    np.testing.assert_allclose(volume.spacing, 0.003)


def test_gantry_tilt_is_named_and_kept_in_the_affine(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp, per_slice=lambda n: {"ImagePositionPatient": [0, 2.0 * n, 5.0 * n]})
    volume = io.read(place)
    assert "gantry tilt" in volume.source.irregular[0]
    assert "21.8 degrees" in volume.source.irregular[0]
    np.testing.assert_allclose(volume.affine[:3, 2], [0, -2, 5])


def test_rounded_positions_are_no_irregularity(make_series: Callable[..., Path]) -> None:
    voxels = np.zeros((40, 4, 5), np.uint16)
    place = make_series(
        voxels, per_slice=lambda n: {"ImagePositionPatient": [0, 0, round(n * 0.6251, 2)]}
    )
    assert io.read(place).source.irregular == ()


def test_a_single_slice_takes_its_thickness(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    assert io.read(make_series(ramp[:1])).spacing == pytest.approx((0.4, 0.7, 5))


def test_a_radiograph_needs_no_position(make_series: Callable[..., Path], ramp: np.ndarray) -> None:
    place = make_series(
        ramp[:1], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
        ImagerPixelSpacing=[0.2, 0.1],
    )  # fmt: skip
    volume = io.read(place)
    assert volume.spacing[:2] == pytest.approx((0.1, 0.2))
    assert any("No position" in oddity for oddity in volume.source.oddities)


def test_pixels_of_unknown_size_are_said_and_stay_dicom(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp, PixelSpacing=None))
    assert volume.spacing[:2] == (1, 1)
    assert "how large the pixels are" in volume.source.irregular[0]
    assert volume.source.oddities[0] in volume.source.irregular
    with pytest.raises(GeometryError, match=r"how large the pixels are.*--allow-irregular"):
        io.write(volume, tmp_path / "out.nii")
    report = io.write_report(volume, tmp_path / "out.nii", allow_irregular=True)
    assert report.notes == ("The pixels were assumed to be 1 mm wide and high.",)
    derived = io.read(io.write(volume, tmp_path / "out"))
    assert derived.source.irregular == volume.source.irregular
    # One picture alone goes into any format, and is told of too.
    alone = io.read(make_series(ramp[:1], name="alone", PixelSpacing=None))
    assert any("how large the pixels are" in oddity for oddity in alone.source.oddities)
    io.write(alone, tmp_path / "out.png")


@pytest.mark.parametrize(
    "change",
    [
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"PixelSpacing": [0, 0.5]},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
    ],
)
def test_senseless_geometry_names_the_file(
    make_series: Callable[..., Path], ramp: np.ndarray, change: dict[str, object]
) -> None:
    from meddenoise.errors import FileError

    with pytest.raises(FileError, match="099"):
        io.read(make_series(ramp, **change))


def test_slices_shifted_in_their_plane_are_told_so(make_series: Callable[..., Path]) -> None:
    voxels = np.zeros((5, 4, 5), np.uint16)
    place = make_series(
        voxels, per_slice=lambda n: {"ImagePositionPatient": [0.3 * (n % 2), 0, 5 * n]}
    )
    (said,) = io.read(place).source.irregular
    assert said == "The slices are shifted against each other by up to 0.30 mm in their plane."


def test_a_slice_that_lies_beyond_all_measure_is_named(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    """Damage puts it there; the square of its distance is no number any more."""
    place = make_series(
        ramp,
        per_slice=lambda n: {"ImagePositionPatient": [1e200 if n == 1 else 0, 0, 5 * n]},
    )
    with np.errstate(over="raise"):
        volume = io.read(place)
        assert "shifted against each other" in volume.source.irregular[0]
        with pytest.raises(GeometryError, match="shifted against each other"):
            io.write(volume, tmp_path / "out.nii", allow_irregular=True)
