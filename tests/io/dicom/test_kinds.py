"""Every kind of object is read as what it is, or refused by name."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from meddenoise import io
from meddenoise.errors import AmbiguousInput, FileError

DX, CR = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1"
SeriesMaker = Callable[..., Path]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"PhotometricInterpretation": "PALETTE COLOR"}, r"a colour image \(PALETTE COLOR\)"),
        ({"PhotometricInterpretation": "YBR_FULL", "SamplesPerPixel": 3}, "a colour image"),
        ({"PixelPresentation": "COLOR"}, "supplemental palette"),
        ({"BitsAllocated": 64, "BitsStored": 64}, "64 bits"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7"}, "label map"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"}, "radiotherapy dose"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.30"}, "parametric map"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33", "Rows": None, "PixelData": None},
         "Comprehensive SR.* no image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "Rows": None, "PixelData": None},
         "Encapsulated PDF.* no image"),
        ({"Rows": None}, "damaged: it says it is an image and has no size"),
        ({"PixelData": None}, "damaged or truncated: an image without pixels"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "RescaleSlope 0"),
    ],
)  # fmt: skip
def test_what_is_no_grey_image_is_named(
    make_series: SeriesMaker, ramp: np.ndarray, change: dict[str, Any], match: str
) -> None:
    place = make_series(ramp[:1], **change)
    for path in (place, place / "0998"):
        with pytest.raises(FileError, match=match) as caught:
            io.read(path)
        assert "Sentinel" not in str(caught.value)


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floating_point_pixels_are_refused(
    make_series: SeriesMaker, ramp: np.ndarray, keyword: str
) -> None:
    place = make_series(ramp[:1])
    ds = pydicom.dcmread(place / "0998")
    del ds.PixelData
    setattr(ds, keyword, ramp[0].astype("f4" if keyword[0] == "F" else "f8").tobytes())
    ds.BitsAllocated = 32 if keyword[0] == "F" else 64
    ds.save_as(place / "0998")
    with pytest.raises(FileError, match=keyword):
        io.read(place)


@pytest.mark.parametrize("sop_class", [DX, CR])
def test_a_radiograph_is_read_and_written(
    make_series: SeriesMaker, tmp_path: Path, sop_class: str
) -> None:
    voxels = np.arange(30, dtype=np.uint16).reshape(1, 5, 6)
    place = make_series(
        voxels, SOPClassUID=sop_class, Modality="DX" if sop_class == DX else "CR",
        ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
        ImagerPixelSpacing=[0.15, 0.14], PhotometricInterpretation="MONOCHROME1", BitsStored=12,
    )  # fmt: skip
    volume = io.read(place)
    assert volume.shape == (6, 5, 1)
    assert volume.spacing[:2] == pytest.approx((0.14, 0.15))
    np.testing.assert_array_equal(volume.array[0, :, :, 0].T, voxels[0])
    out = io.write(volume, tmp_path / "out.dcm")
    ds = pydicom.dcmread(out)
    assert ds.SOPClassUID == sop_class
    assert ds.PhotometricInterpretation == "MONOCHROME1"
    np.testing.assert_array_equal(ds.pixel_array, voxels[0])


def test_fewer_pixels_than_claimed_are_no_image(make_series: SeriesMaker, ramp: np.ndarray) -> None:
    for change in ({"Rows": 5}, {"NumberOfFrames": 2}, {"PixelData": b"\0\0"}):
        with pytest.raises(FileError, match=r"claims [\d,]+ bytes of pixels, but the file has"):
            io.read(make_series(ramp[:1], **change))


def test_a_deflated_file_takes_no_more_memory_than_its_image(
    make_series: SeriesMaker, ramp: np.ndarray
) -> None:
    """A bomb: 200 MB of zeros behind a small image, or instead of one."""
    place = make_series(ramp[:1])
    path = place / "0998"
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    pydicom.dcmwrite(path, ds)
    raw = path.read_bytes()
    start = 132 + 12 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    plain = zlib.decompress(raw[start:], -15)
    for bomb, good in ((lambda z: z(plain) + zeros(z), True), (lambda z: zeros(z), False)):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        path.write_bytes(raw[:start] + bomb(packer.compress) + packer.flush())
        assert path.stat().st_size < 1 << 20
        tracemalloc.start()
        if good:
            np.testing.assert_array_equal(io.read(place).array[0, ..., 0].T, ramp[0])
        else:
            with pytest.raises(FileError, match="0998"):
                io.read(place)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 27


def zeros(compress: Callable[[bytes], bytes]) -> bytes:
    block = bytes(1 << 24)
    return b"".join(compress(block) for _ in range(12))


@pytest.mark.parametrize(
    "run",
    [
        bytes(8),
        b"\2\0\x10\0UI\0\0",
        b"\2\0\2\0UI\0\0",
        b"\x08\0\x05\0CS\0\0",
        b"\x08\0\0\0\0\0\0\0",
    ],
)
def test_endless_empty_elements_end_soon(tmp_path: Path, run: bytes) -> None:
    path = tmp_path / "endless.dcm"
    for start in (bytes(128) + b"DICM", b"\2\0\x10\0UI\0\0"):
        path.write_bytes(start + run * (1 << 20))
        started = time.monotonic()
        with pytest.raises(FileError, match=r"endless\.dcm"):
            io.read(path)
        assert time.monotonic() - started < 20


def test_patients_are_not_mixed_even_if_their_uids_are_the_same(
    make_series: SeriesMaker, ramp: np.ndarray
) -> None:
    place = make_series(ramp, PatientID="A")
    make_series(ramp + 1, first=4, PatientID="B")
    with pytest.raises(AmbiguousInput, match="2 series of 2 patients") as caught:
        io.read(place)
    assert "'A'" not in str(caught.value)
    assert [io.read(place, series=f"1.2.3.4.5#{n}").shape[2] for n in (1, 2)] == [3, 3]
