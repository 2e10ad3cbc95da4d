from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.errors import OutputError, ParameterError
from meddenoise.io.dicom.encoding import COMPRESSIONS


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize(
    ("dtype", "bits"), [("u1", 8), ("u2", 12), ("i2", 12), ("u2", 16), ("i2", 16)]
)
def test_compression_is_lossless_and_named(
    make_series: Callable[..., Path], tmp_path: Path, compress: str, dtype: str, bits: int
) -> None:
    rng = np.random.default_rng(0)
    low = -(2 ** (bits - 1)) if dtype == "i2" else 0
    voxels = rng.integers(low, low + 2**bits, (2, 37, 41)).astype(dtype)
    volume = io.read(make_series(voxels, BitsStored=bits))
    io.write(volume, tmp_path / "out", compress=compress)
    again = io.read(tmp_path / "out")
    np.testing.assert_array_equal(again.array, volume.array)
    for number in (1, 2):
        ds = pydicom.dcmread(tmp_path / "out" / f"IM{number:04}.dcm")
        assert ds.file_meta.TransferSyntaxUID == COMPRESSIONS[compress]
        np.testing.assert_array_equal(ds.pixel_array, voxels[number - 1])
        assert "LossyImageCompression" not in ds


def test_cine_is_compressed_frame_by_frame(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    voxels = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(1, 3, 8, 9)
    place = make_series(voxels, NumberOfFrames=3, ImageOrientationPatient=None)
    io.write(io.read(place), tmp_path / "out.dcm", compress="rle")
    ds = pydicom.dcmread(tmp_path / "out.dcm")
    assert ds.NumberOfFrames == 3
    np.testing.assert_array_equal(ds.pixel_array, voxels[0])


def test_what_a_codec_cannot_hold_is_refused_and_nothing_written(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    voxels = np.arange(40, dtype=np.uint32).reshape(2, 4, 5) << 20
    volume = io.read(make_series(voxels))
    with pytest.raises(OutputError, match="'jpegls'"):
        io.write(volume, tmp_path / "out", compress="jpegls")
    assert not (tmp_path / "out").exists()


def test_options_of_dicom_are_refused_elsewhere(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp))
    for option in ({"compress": "rle"}, {"deterministic_uids": True}, {"keep_private": True}):
        with pytest.raises(ParameterError, match=next(iter(option))):
            io.write(volume, tmp_path / "out.nii.gz", **option)
    with pytest.raises(ParameterError, match="'zip'"):
        io.write(volume, tmp_path / "out", compress="zip")
    assert not list(tmp_path.glob("out*"))


def test_untouched_elements_are_written_as_they_were(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    """Odd values, other character sets and an implicit source come through."""
    place = make_series(
        ramp, SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Zoë", WindowCenter=[40, 50],
        EchoTime="3.1400", StudyTime="101112.50",
    )  # fmt: skip
    for implicit in (False, True):
        for path in place.iterdir():
            ds = pydicom.dcmread(path)
            if implicit:
                ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=True)
        out = io.write(io.read(place), tmp_path / f"out{implicit}")
        ds = pydicom.dcmread(out / "IM0001.dcm")
        assert str(ds.PatientName) == "Müller^Zoë"
        assert list(ds.WindowCenter) == [40, 50]
        assert ds.get_item("EchoTime").value == b"3.1400"
        assert ds.StudyTime == "101112.50"
