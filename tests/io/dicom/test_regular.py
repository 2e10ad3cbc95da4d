from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from meddenoise import io
from meddenoise.errors import GeometryError
from meddenoise.volume import Volume


def heights(*places: float) -> Callable[[int], dict[str, object]]:
    return lambda number: {"ImagePositionPatient": [0, 0, places[number]]}


def converted(volume: Volume, target: Path) -> tuple[Volume, str]:
    report = io.write_report(volume, target, allow_irregular=True)
    return io.read(target), " ".join(report.notes)


def ramps(count: int) -> np.ndarray:
    """Each slice is 100 times its number, plus a pattern within."""
    return (100 * np.arange(count)[:, None, None] + np.arange(20).reshape(4, 5)).astype(np.int16)


def test_it_is_refused_unless_asked_for(make_series: Callable[..., Path], tmp_path: Path) -> None:
    volume = io.read(make_series(ramps(4), per_slice=heights(0, 2, 3, 7)))
    with pytest.raises(GeometryError, match=r"unevenly.*allow_irregular"):
        io.write(volume, tmp_path / "out.nii")
    assert not (tmp_path / "out.nii").exists()


def test_uneven_slices_are_interpolated_at_the_smallest_distance(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    volume = io.read(make_series(ramps(4), per_slice=heights(0, 2, 3, 7)))
    again, notes = converted(volume, tmp_path / "out.nii.gz")
    assert again.shape == (5, 4, 8)
    assert again.spacing[2] == pytest.approx(1)
    profile = again.array[0, 0, 0]
    np.testing.assert_allclose(profile, [0, 50, 100, 200, 225, 250, 275, 300])
    assert "2 to 4" not in notes
    assert "1 to 4 mm apart" in notes
    assert "8 slices out of 4" in notes
    for index, place in enumerate((0, 2, 3, 7)):  # measured slices are where they were
        at = np.linalg.inv(again.affine) @ [0, 0, place, 1]
        np.testing.assert_array_equal(
            again.array[0, :, :, round(at[2])], volume.array[0, :, :, index]
        )


def test_a_missing_slice_is_filled_in(make_series: Callable[..., Path], tmp_path: Path) -> None:
    volume = io.read(make_series(ramps(5), per_slice=heights(0, 5, 10, 20, 25)))
    again, _ = converted(volume, tmp_path / "out.nrrd")
    np.testing.assert_allclose(again.array[0, 0, 0], [0, 100, 200, 250, 300, 400])
    assert again.spacing[2] == pytest.approx(5)


def test_of_slices_at_one_place_the_first_is_taken(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    volume = io.read(make_series(ramps(5), per_slice=heights(0, 5, 5, 10, 15)))
    again, notes = converted(volume, tmp_path / "out.mha")
    np.testing.assert_allclose(again.array[0, 0, 0], [0, 100, 300, 400])
    assert "4 of 5" in notes


def test_a_tilt_goes_into_the_affine_and_changes_no_voxel(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    place = make_series(
        ramps(4), per_slice=lambda n: {"ImagePositionPatient": [0, 2.0 * n, 5.0 * n]}
    )
    volume = io.read(place)
    for name in ("out.nii.gz", "out.nrrd"):
        again, notes = converted(volume, tmp_path / name)
        np.testing.assert_array_equal(again.array, volume.array)
        np.testing.assert_allclose(again.affine, volume.affine, atol=1e-5)
        assert "21.8 degrees" in notes
        assert "shear exactly" in notes
    with pytest.raises(GeometryError, match=r"sheared.*\.nii\.gz or \.nrrd"):
        io.write(volume, tmp_path / "out.mha", allow_irregular=True)


def test_shifts_within_the_plane_have_no_affine(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    places = [[0, 0, 0], [3, 0, 5], [0, 0, 10], [0, 0, 15]]
    volume = io.read(make_series(ramps(4), per_slice=lambda n: {"ImagePositionPatient": places[n]}))
    with pytest.raises(GeometryError, match="shifted against each other by up to 3 mm"):
        io.write(volume, tmp_path / "out.nii", allow_irregular=True)


def test_absurd_distances_take_no_memory(make_series: Callable[..., Path], tmp_path: Path) -> None:
    volume = io.read(make_series(ramps(3), per_slice=heights(0, 0.01, 900)))
    with pytest.raises(GeometryError, match="would take 90,001 slices"):
        io.write(volume, tmp_path / "out.nii", allow_irregular=True)


def test_what_left_the_grid_is_refused(make_series: Callable[..., Path], tmp_path: Path) -> None:
    volume = io.read(make_series(ramps(4), per_slice=heights(0, 1, 4, 5)))
    cropped = Volume(volume.array[:, 1:], volume.affine, source=volume.source)
    with pytest.raises(GeometryError, match="no longer on the grid"):
        io.write(cropped, tmp_path / "out.nii", allow_irregular=True)


def test_padding_is_not_smeared(make_series: Callable[..., Path], tmp_path: Path) -> None:
    voxels = ramps(3)
    voxels[1, 0, 0] = -2000
    volume = io.read(make_series(voxels, PixelPaddingValue=-2000, per_slice=heights(0, 4, 6)))
    again, _ = converted(volume, tmp_path / "out.nii")
    np.testing.assert_allclose(again.array[0, 0, 0], [0, -2000, -2000, 200])
    np.testing.assert_allclose(again.array[0, 1, 0], [1, 51, 101, 201])


@pytest.mark.parametrize("name", ["ct_tilt_philips", "ct_tilt_variable_ge"])
def test_dcm2niix_sees_the_same_anatomy_at_the_same_place(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    """It unshears and, where slices are uneven, resamples to another distance than ours."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("dcm2niix", path=beside) or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    place = shared_data / "dicom" / name
    command = [program, "-z", "n", "-f", "x", "-o", str(tmp_path), str(place)]
    subprocess.run(command, check=True, capture_output=True)
    (corrected,) = tmp_path.glob("x_Tilt*.nii")
    theirs = io.read(corrected)
    ours, _ = converted(io.read(place), tmp_path / "ours.nii")
    grid = np.stack(np.meshgrid(*[np.arange(2, n - 2, 7) for n in ours.shape], indexing="ij"))
    world = ours.affine @ np.vstack([grid.reshape(3, -1), np.ones(grid[0].size)])
    index = (np.linalg.inv(theirs.affine) @ world)[:3]
    inside = ((index >= 1) & (index <= np.array(theirs.shape)[:, None] - 2)).all(axis=0)
    assert inside.mean() > 0.7
    seen = map_coordinates(theirs.array[0], index[:, inside], order=1)
    own = ours.array[0][tuple(grid.reshape(3, -1)[:, inside])]
    assert np.corrcoef(seen, own)[0, 1] > 0.99
    away = map_coordinates(
        theirs.array[0], index[:, inside] + [[0], [3], [0]], order=1, mode="nearest"
    )
    assert np.abs(seen - own).mean() < np.abs(away - own).mean() / 2
