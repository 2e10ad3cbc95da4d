from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.errors import AmbiguousInput, FileError


def test_two_series_are_listed_and_one_can_be_chosen(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp, SeriesInstanceUID="1.2.5", SeriesNumber=5, SeriesDescription="T1")
    make_series(ramp + 1, first=11, SeriesInstanceUID="1.2.6", SeriesNumber=6,
                SeriesDescription="T2")  # fmt: skip
    with pytest.raises(AmbiguousInput) as caught:
        io.read(place)
    for word in ("2 series", "number 5", "'T1'", "number 6", "'T2'", "MR", "5x4x3", "1.2.6"):
        assert word in str(caught.value)
    assert "Sentinel" not in str(caught.value)
    for choice in ("1.2.6", "6", "T2", "t2"):
        np.testing.assert_array_equal(io.read(place, series=choice).array.min(), 1)
    with pytest.raises(FileError, match="no series '9'"):
        io.read(place, series="9")


def test_a_file_stands_for_its_series(make_series: Callable[..., Path], ramp: np.ndarray) -> None:
    place = make_series(ramp, SeriesInstanceUID="1.2.5")
    other = make_series(ramp + 1, first=11, SeriesInstanceUID="1.2.6")
    assert other == place
    volume = io.read(next(path for path in place.iterdir() if path.name == "0997"))
    assert volume.shape == (5, 4, 3)
    assert volume.array.min() == 0


def test_order_comes_from_the_position(make_series: Callable[..., Path], ramp: np.ndarray) -> None:
    place = make_series(
        ramp, per_slice=lambda n: {"InstanceNumber": [3, 1, 2][n],
                                   "ImagePositionPatient": [0, 0, [10, 0, 5][n]]}
    )  # fmt: skip
    volume = io.read(place)
    np.testing.assert_array_equal(volume.array[0].T, ramp[[1, 2, 0]])
    assert volume.source.irregular == ()


def test_a_localizer_of_another_orientation_is_a_series_of_its_own(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    make_series(ramp[:1], first=50, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    with pytest.raises(AmbiguousInput, match="2 series"):
        io.read(place)
    assert io.read(place, series="1.2.3.4.5#1").shape == (5, 4, 3)
    assert io.read(place, series="1.2.3.4.5#2").shape == (5, 4, 1)


@pytest.mark.parametrize("key", ["TemporalPositionIdentifier", "EchoNumbers", "AcquisitionNumber"])
def test_repeats_become_channels(
    make_series: Callable[..., Path], ramp: np.ndarray, key: str, tmp_path: Path
) -> None:
    for time in (2, 1):
        make_series(ramp + 1000 * time, first=1 + 10 * time,
                    per_slice=lambda n: {"ImagePositionPatient": [0, 0, 5 * n]},
                    **{key: time})  # fmt: skip
    volume = io.read(tmp_path / "series")
    assert volume.array.shape == (2, 5, 4, 3)
    np.testing.assert_array_equal(volume.array[1].T, ramp + 2000)
    io.write(volume, tmp_path / "out")
    np.testing.assert_array_equal(io.read(tmp_path / "out").array, volume.array)


def test_magnitude_and_phase_are_not_mixed(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    make_series(ramp, first=11, ImageType=["ORIGINAL", "PRIMARY", "P"],
                per_slice=lambda n: {"ImagePositionPatient": [-10, -20, 5 * (n + 1)]})  # fmt: skip
    with pytest.raises(AmbiguousInput):
        io.read(place)


def test_copies_of_one_instance_are_left_out_and_said(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    (place / "copy").write_bytes((place / "0998").read_bytes())
    volume = io.read(place)
    assert volume.shape == (5, 4, 3)
    assert any("1 files with an instance's UID twice" in note for note in volume.source.oddities)


def test_no_slice_is_dropped_because_it_is_damaged(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    raw = (place / "0997").read_bytes()
    (place / "0997").write_bytes(raw[: len(raw) - 10])
    with pytest.raises(FileError, match="0997"):
        io.read(place)
    (place / "0997").write_bytes(raw[: raw.index(b"ORIGINAL") + 30])
    with pytest.raises(FileError, match="0997"):
        io.read(place)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "colour"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "segmentation"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3"}, "structure set"),
        ({"Rows": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "no image"),
        ({"BitsAllocated": 1}, "1 bits"),
    ],
)
def test_other_objects_are_refused_by_name(
    make_series: Callable[..., Path], ramp: np.ndarray, change: dict[str, object], match: str
) -> None:
    place = make_series(ramp[:1], HighBit=15, BitsStored=1, **change)
    with pytest.raises(FileError, match=match):
        io.read(place)
    with pytest.raises(FileError, match=match):
        io.read(place / "0998")


def test_other_objects_beside_a_series_are_passed_over(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    make_series(ramp[:1], first=50, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    (place / "readme.txt").write_text("not an image")
    assert io.read(place).shape == (5, 4, 3)


def test_files_without_a_preamble_are_known_by_content(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    for path in place.iterdir():
        ds = pydicom.dcmread(path)
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        pydicom.dcmwrite(path, ds, implicit_vr=True, little_endian=True)
        ds = path.read_bytes()
        path.write_bytes(ds[132:] if ds[128:132] == b"DICM" else ds)
    np.testing.assert_array_equal(io.read(place).array[0].T, ramp)
