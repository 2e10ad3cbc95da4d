from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.io.dicom.signed import signed
from meddenoise.io.dicom.source import DicomSource


@pytest.mark.parametrize(
    ("kind", "bits", "intercept"), [("u1", 8, 0), ("u2", 12, 0), ("u2", 12, -1024), ("i2", 12, 5)]
)
def test_negative_values_come_back(
    make_series: Callable[..., Path], tmp_path: Path, kind: str, bits: int, intercept: int
) -> None:
    stored = np.arange(3 * 4 * 5).astype(kind).reshape(3, 4, 5)
    place = make_series(
        stored, BitsStored=bits, RescaleSlope=2, RescaleIntercept=intercept, WindowCenter=40,
        WindowWidth=80,
    )  # fmt: skip
    volume = io.read(place)
    assert isinstance(volume.source, DicomSource)
    steps = np.arange(volume.array.size).reshape(volume.array.shape) % 2 * 1000.0 - 500
    values = 2 * steps + intercept
    report = io.write_report(
        replace(volume, source=signed(volume.source)).with_array(values), tmp_path / "out"
    )
    assert (report.clipped, report.dtype) == (0, "int16")
    np.testing.assert_array_equal(io.read(tmp_path / "out").array, values)
    header = pydicom.dcmread(report.files[0])
    assert (header.BitsAllocated, header.BitsStored, header.HighBit) == (16, 16, 15)
    assert header.PixelRepresentation == 1
    assert "WindowCenter" not in header
    before = pydicom.dcmread(volume.source.files[0])
    assert volume.source.instances[0].header.PixelRepresentation == before.PixelRepresentation


def test_values_stored_far_above_0_keep_their_room_below_and_above(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    stored = np.full((3, 4, 5), 2**15, np.uint16)
    place = make_series(stored, RescaleSlope=1, RescaleIntercept=-(2**15), WindowWidth=9)
    volume = io.read(place)
    assert isinstance(volume.source, DicomSource)
    steps = np.where(np.arange(volume.array.size) % 2, -20_000.0, 20_000.0)
    values = steps.reshape(volume.array.shape)
    report = io.write_report(
        replace(volume, source=signed(volume.source)).with_array(values), tmp_path / "out"
    )
    assert (report.clipped, report.dtype) == (0, "uint16")
    np.testing.assert_array_equal(io.read(tmp_path / "out").array, values)
    assert "WindowWidth" not in pydicom.dcmread(report.files[0])


def test_there_is_no_padding_any_more(make_series: Callable[..., Path], tmp_path: Path) -> None:
    stored = np.full((3, 4, 5), 7, np.uint16)
    stored[:, :2] = 0
    volume = io.read(make_series(stored, PixelPaddingValue=0))
    assert volume.padding is not None
    assert isinstance(volume.source, DicomSource)
    change = np.zeros(volume.array.shape, np.float32)
    change[..., 1] = -3
    plain = replace(volume, padding=None, source=signed(volume.source)).with_array(change)
    io.write(plain, tmp_path / "out")
    again = io.read(tmp_path / "out")
    assert again.valid.all()
    np.testing.assert_array_equal(again.array, change)
