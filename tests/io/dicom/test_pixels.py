from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from meddenoise import io
from meddenoise.errors import FileError


def test_hounsfield_units_from_slope_and_intercept(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp, Modality="CT", RescaleSlope=2, RescaleIntercept=-1024)
    volume = io.read(place)
    np.testing.assert_array_equal(volume.array[0].T, ramp * 2.0 - 1024)
    assert (volume.units, volume.modality) == ("HU", "CT")


def test_the_scale_is_each_slices_own(
    make_series: Callable[..., Path], tmp_path: Path, ramp: np.ndarray
) -> None:
    slopes = [0.5, 0.0123456, 3.0]
    place = make_series(
        ramp, Modality="PT", Units="BQML", RescaleIntercept=0,
        per_slice=lambda n: {"RescaleSlope": slopes[n]},
    )  # fmt: skip
    volume = io.read(place)
    expected = ramp * np.array(slopes)[:, None, None]
    np.testing.assert_allclose(volume.array[0].T, expected, rtol=1e-6)
    assert volume.units == "BQML"
    io.write(volume, tmp_path / "out")
    for number, path in enumerate(sorted((tmp_path / "out").iterdir())):
        ds = pydicom.dcmread(path)
        assert ds.RescaleSlope == slopes[number]
        np.testing.assert_array_equal(ds.pixel_array, ramp[number])
    io.write(volume, tmp_path / "out.nii.gz")
    np.testing.assert_allclose(io.read(tmp_path / "out.nii.gz").array[0].T, expected, rtol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_dirty_high_bits_are_masked_and_the_sign_extended(
    make_series: Callable[..., Path], tmp_path: Path, signed: bool
) -> None:
    clean = np.arange(20, dtype=np.int16).reshape(1, 4, 5) * 100 - (1000 if signed else 0)
    dirty = (clean.astype(np.uint16) & 0x0FFF) | 0xA000
    place = make_series(dirty.astype(np.int16 if signed else np.uint16), BitsStored=12, HighBit=11)
    volume = io.read(place)
    np.testing.assert_array_equal(volume.array[0].T, clean)
    with pytest.warns(io.ClippingWarning):
        io.write(volume.with_array(volume.array + 10000), tmp_path / "out")
    assert io.read(tmp_path / "out").array.max() == (2047 if signed else 4095)


def test_monochrome1_is_not_inverted(
    make_series: Callable[..., Path], tmp_path: Path, ramp: np.ndarray
) -> None:
    volume = io.read(make_series(ramp, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(volume.array[0].T, ramp)
    assert any("MONOCHROME1" in oddity for oddity in volume.source.oddities)
    io.write(volume, tmp_path / "out")
    written = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert written.PhotometricInterpretation == "MONOCHROME1"


@pytest.mark.parametrize("limit", [None, -1990])
def test_padding_is_marked_and_restored_exactly(
    make_series: Callable[..., Path], tmp_path: Path, limit: int | None
) -> None:
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    voxels[:, 0, :3] = -2000, -1995, -1990
    change = {} if limit is None else {"PixelPaddingRangeLimit": limit}
    place = make_series(
        voxels, Modality="CT", RescaleSlope=1, RescaleIntercept=-24, PixelPaddingValue=-2000,
        **change,
    )  # fmt: skip
    volume = io.read(place)
    assert volume.padding.sum() == (3 if limit is None else 9)
    np.testing.assert_array_equal(volume.padding[0].T, (voxels == -2000) | (
        (voxels >= -2000) & (voxels <= -1990) & (limit is not None)))  # fmt: skip
    ruined = volume.array + 3
    ruined[volume.padding] = np.nan
    io.write(volume.with_array(ruined), tmp_path / "out")
    again = io.read(tmp_path / "out")
    np.testing.assert_array_equal(again.padding, volume.padding)
    np.testing.assert_array_equal(again.array[volume.padding], volume.array[volume.padding])
    np.testing.assert_array_equal(again.array[~volume.padding], ruined[~volume.padding])


@pytest.mark.parametrize(
    ("change", "expected", "clipped"),
    [
        ({"PixelPaddingValue": 0}, [1, 1, 1, 2, 60], 0),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 9}, [10, 10, 10, 10, 60], 4),
        ({"PixelPaddingValue": 59, "PixelPaddingRangeLimit": 4095}, [0, 0, 1, 2, 58], 1),
    ],
)
def test_what_was_measured_does_not_become_padding(
    make_series: Callable[..., Path],
    tmp_path: Path,
    change: dict[str, int],
    expected: list[int],
    clipped: int,
) -> None:
    voxels = np.full((2, 4, 5), 20, dtype=np.uint16)
    voxels[:, 3] = change["PixelPaddingValue"]
    volume = io.read(make_series(voxels, BitsStored=12, HighBit=11, **change))
    changed = volume.array.copy()
    changed[0, :, 0] = np.array([0, 0.3, 0.6, 2.4, 59.6])[:, None]
    report = io.write_report(volume.with_array(changed), tmp_path / "out")
    again = io.read(tmp_path / "out")
    np.testing.assert_array_equal(again.padding, volume.padding)
    np.testing.assert_array_equal(again.array[0, :, 0].T, [expected] * 2)
    assert report.clipped == 2 * clipped


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
     JPEGLSLossless],
)  # fmt: skip
def test_every_lossless_syntax_gives_the_same_and_comes_out_plain(
    make_series: Callable[..., Path], tmp_path: Path, ramp: np.ndarray, syntax: pydicom.uid.UID
) -> None:
    place = make_series(ramp)
    for path in place.iterdir():
        ds = pydicom.dcmread(path)
        if syntax.is_compressed and syntax.is_encapsulated:
            ds.compress(syntax)
        else:
            if syntax == ExplicitVRBigEndian:
                ds.PixelData = ds.pixel_array.astype(">u2").tobytes()
            ds.file_meta.TransferSyntaxUID = syntax
        little = syntax != ExplicitVRBigEndian
        pydicom.dcmwrite(path, ds, little_endian=little, implicit_vr=syntax.is_implicit_VR)
    volume = io.read(place)
    np.testing.assert_array_equal(volume.array[0].T, ramp)
    io.write(volume, tmp_path / "out")
    written = pydicom.dcmread(tmp_path / "out" / "IM0002.dcm")
    assert written.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    np.testing.assert_array_equal(written.pixel_array, ramp[1])
    assert written.SeriesNumber == 1007
    assert "LossyImageCompression" not in written


def test_an_unknown_syntax_is_refused_by_name(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    path = place / "0997"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))
    with pytest.raises(FileError, match=r"1\.2\.840\.10008\.1\.2\.9"):
        io.read(place)


def test_claims_beyond_the_file_take_no_memory(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    with pytest.raises(FileError, match="claims"):
        io.read(make_series(ramp, Rows=60000, Columns=60000))


def test_cine_frames_become_channels_and_stay_multi_frame(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    voxels = np.arange(7 * 4 * 5, dtype=np.uint8).reshape(1, 7, 4, 5)
    place = make_series(
        voxels, NumberOfFrames=7, ImagePositionPatient=None, ImageOrientationPatient=None
    )
    volume = io.read(place)
    assert volume.array.shape == (7, 5, 4, 1)
    np.testing.assert_array_equal(volume.array[..., 0].transpose(0, 2, 1), voxels[0])
    io.write(volume, tmp_path / "out.dcm")
    again = pydicom.dcmread(tmp_path / "out.dcm")
    assert again.NumberOfFrames == 7
    np.testing.assert_array_equal(again.pixel_array, voxels[0])


def test_values_before_a_lookup_table_are_no_hounsfield_units(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [2, 0, 16], "HU"
    volume = io.read(make_series(ramp, Modality="CT", ModalityLUTSequence=[table]))
    assert volume.units == ""
    assert any("lookup table is not applied" in oddity for oddity in volume.source.oddities)
