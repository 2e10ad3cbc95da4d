from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.io.dicom.mosaic import csa_values
from meddenoise.io.orientation import back_on_grid

SYNTAXES = (1, 2, 3, 4, 5, 7, 9)


def csa(**values: list[str]) -> bytes:
    """A CSA header as Siemens writes it."""
    raw = b"SV10\4\3\2\1" + struct.pack("<II", len(values), 77)
    for name, words in values.items():
        raw += struct.pack("<64sI4sIII", name.encode(), 0, b"FD", 4, max(6, len(words)), 77)
        for word in [*words, *[""] * (6 - len(words))]:
            text = word.encode() + b"\0" if word else b""
            raw += struct.pack("<4I", 0, len(text), 77, 0) + text + b"\0" * (-len(text) % 4)
    return raw


def make_mosaic(place: Path, tiles: np.ndarray, *, normal: int = 1) -> None:
    """Turn the one file in ``place`` into a mosaic of (Z, rows, columns)."""
    count, rows, columns = tiles.shape
    across = int(np.ceil(np.sqrt(count)))
    picture = np.full((across * rows, across * columns), 7, np.uint16)
    for number, tile in enumerate(tiles):
        top, left = number // across * rows, number % across * columns
        picture[top : top + rows, left : left + columns] = tile
    (path,) = place.iterdir()
    ds = pydicom.dcmread(path)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    ds.Rows, ds.Columns = picture.shape
    ds.PixelData = picture.tobytes()
    ds.PixelSpacing, ds.SpacingBetweenSlices = [2, 3], 4
    ds.ImagePositionPatient = [-10, -20, 30]
    header = csa(NumberOfImagesInMosaic=[str(count)], SliceNormalVector=["0", "0", str(normal)])
    ds.private_block(0x29, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", header)
    ds.private_block(0x29, "SIEMENS CSA HEADER").add_new(0x20, "OB", b"Secret series header")
    ds.save_as(path)


@pytest.mark.parametrize("normal", [1, -1])
def test_tiles_are_slices_and_come_back_as_a_mosaic(
    make_series: Callable[..., Path], tmp_path: Path, normal: int
) -> None:
    tiles = np.arange(7 * 4 * 5, dtype=np.uint16).reshape(7, 4, 5)
    place = make_series(tiles[:1])
    make_mosaic(place, tiles, normal=normal)
    volume = io.read(place)
    assert volume.source.irregular == ()
    np.testing.assert_array_equal(volume.array[0].T, tiles[::normal])
    assert volume.spacing == pytest.approx((3, 2, 4))
    # The picture is 3x3 tiles of 4x5 pixels about the centre of each slice.
    corner = np.array([-10 + 3 * 5, -20 + 2 * 4, 30])
    lowest = corner - [0, 0, 4 * 6 if normal < 0 else 0]
    np.testing.assert_allclose(volume.affine[:3, 3], lowest * [-1, -1, 1])

    io.write(volume, tmp_path / "same")
    (source,), (path,) = place.iterdir(), (tmp_path / "same").iterdir()
    before, after = pydicom.dcmread(source), pydicom.dcmread(path)
    np.testing.assert_array_equal(after.pixel_array, before.pixel_array)  # unused tiles too
    assert list(after.ImageType) == ["DERIVED", "PRIMARY", "M", "ND", "MOSAIC"]
    assert b"Secret" not in path.read_bytes()

    io.write(volume.with_array(volume.array + 1), tmp_path / "more")
    again = io.read(tmp_path / "more")
    np.testing.assert_array_equal(again.array, volume.array + 1)
    np.testing.assert_array_equal(again.affine, volume.affine)


def test_mosaics_in_time_become_channels(make_series: Callable[..., Path], tmp_path: Path) -> None:
    tiles = np.arange(4 * 4 * 5, dtype=np.uint16).reshape(4, 4, 5)
    for time in (1, 2, 3):
        place = make_series(tiles[:1], name=f"t{time}", first=time, AcquisitionNumber=time)
        make_mosaic(place, tiles + 1000 * time)
        (tmp_path / "all").mkdir(exist_ok=True)
        shutil.copy(next(place.iterdir()), tmp_path / "all")
    volume = io.read(tmp_path / "all")
    assert volume.array.shape == (3, 5, 4, 4)
    np.testing.assert_array_equal(volume.array[2].T, tiles + 3000)
    report = io.write_report(volume, tmp_path / "out")
    assert len(report.files) == 3
    assert any("mosaic" in note for note in report.notes)
    np.testing.assert_array_equal(io.read(tmp_path / "out").array, volume.array)


def test_a_mosaic_without_its_header_is_named(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    place = make_series(np.zeros((1, 8, 8), np.uint16), ImageType=["ORIGINAL", "PRIMARY", "MOSAIC"])
    volume = io.read(place)
    assert volume.shape == (8, 8, 1)
    assert "mosaic without the header" in volume.source.irregular[0]


@pytest.mark.parametrize("raw", [b"", None, b"SV10", b"SV10" + b"\xff" * 40, csa(A=["1"])[:-30]])
def test_damaged_csa_headers_tell_nothing(raw: bytes | None) -> None:
    assert not any(csa_values(raw).values())


def test_csa_values() -> None:
    raw = csa(NumberOfImagesInMosaic=["35"], SliceNormalVector=["0", "0.1", "-0.9"])
    assert csa_values(raw) == {
        "NumberOfImagesInMosaic": ["35"],
        "SliceNormalVector": ["0", "0.1", "-0.9"],
    }


@pytest.mark.parametrize("number", SYNTAXES)
def test_dcm2niix_makes_the_same_volume(shared_data: Path, tmp_path: Path, number: int) -> None:
    program = shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    program = program or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    (tmp_path / "in").mkdir()
    path = Path(shutil.copy(shared_data / "dicom" / "syntaxes" / f"{number}.dcm", tmp_path / "in"))
    volume = io.read(path)
    assert volume.shape == (64, 64, 35)
    derived = io.write(volume, tmp_path / "out.dcm")
    np.testing.assert_array_equal(io.read(derived).array, volume.array)
    (tmp_path / "out").mkdir()
    derived.rename(tmp_path / "out" / "out.dcm")
    for directory in ("in", "out") if number == 1 else ("in",):
        command = [program, "-z", "n", "-f", directory, "-o", str(tmp_path)]
        subprocess.run([*command, str(tmp_path / directory)], check=True, capture_output=True)
        theirs = io.read(tmp_path / f"{directory}.nii")
        # It turns the rows round; the same voxel must lie at the same place.
        array, _ = back_on_grid(theirs.array, theirs.affine, volume.affine, volume.shape)
        np.testing.assert_array_equal(array, volume.array)
        for index in np.ndindex(2, 2, 2):
            ours = volume.affine @ [*(np.array(index) * [63, 63, 34]), 1]
            mapped = np.linalg.inv(theirs.affine) @ ours
            np.testing.assert_allclose(theirs.affine @ np.append(np.rint(mapped[:3]), 1), ours,
                                       atol=1e-3)  # fmt: skip
