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


@pytest.mark.parametrize("placed", [True, False])
def test_slices_that_all_have_one_uid_are_no_copies(
    make_series: Callable[..., Path], ramp: np.ndarray, placed: bool
) -> None:
    elements = {} if placed else {"ImagePositionPatient": None}
    place = make_series(ramp, SOPInstanceUID="1.2.3.4.9", **elements)
    (place / "copy").write_bytes((place / "0998").read_bytes())
    volume = io.read(place)
    np.testing.assert_array_equal(volume.array[0].T, ramp)
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


def damaged(raw: bytes) -> dict[str, bytes]:
    """One file, harmed in several ways behind its SeriesInstanceUID and before it."""
    uid = raw.index(b"\x20\0\x0e\0UI")
    return {
        "no pixels": raw[: raw.index(b"\xe0\x7f\x10\0")],
        "half the pixels": raw[:-20],
        "header cut": raw[: uid + 40],
        "header overwritten": raw[: uid + 30] + b"\xff\x13" * 40 + raw[uid + 110 :],
        "Rows without a value": raw.replace(b"\x28\0\x10\0US\2\0", b"\x28\0\x10\0US\3\0"),
        "start alone": raw[: raw.index(b"ORIGINAL") + 4],
        "start overwritten": raw[:340] + b"\xff\x13" * 40 + raw[420:],
    }


def test_a_named_file_is_read_whatever_damaged_file_of_another_series_lies_beside_it(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    other = make_series(ramp[:1], name="other", SeriesInstanceUID="1.2.9.9") / "0998"
    for harm, content in damaged(other.read_bytes()).items():
        (place / "broken.dcm").write_bytes(content)
        volume = io.read(place / "0997")
        np.testing.assert_array_equal(volume.array[0].T, ramp, err_msg=harm)
        assert any("broken.dcm" in note for note in volume.source.oddities), harm
        with pytest.raises(FileError, match=r"broken\.dcm"):
            io.read(place)  # who names a directory means all of it
        if not harm.startswith("start"):
            np.testing.assert_array_equal(io.read(place, series="7").array[0].T, ramp)


def test_a_named_file_is_not_read_without_a_damaged_slice_of_its_series(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    whole = (place / "0997").read_bytes()
    for harm, content in damaged(whole).items():
        (place / "0997").write_bytes(content)
        if harm.startswith("start"):  # of which series it was is lost with the header
            volume = io.read(place / "0998")
            assert any("0997" in note for note in volume.source.oddities)
            continue
        for choice in (None, "7"):
            with pytest.raises(FileError, match="0997"):
                io.read(place / "0998", series=choice)
            with pytest.raises(FileError, match="0997"):
                io.read(place, series=choice)


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
