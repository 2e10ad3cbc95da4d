from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from meddenoise import __version__, io
from meddenoise.errors import GeometryError, OutputError
from meddenoise.io.dicom.copying import copied
from meddenoise.volume import Volume

KEPT = (
    "StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "AcquisitionDate",
    "InstanceNumber", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "SOPClassUID", "Modality",
)  # fmt: skip


@pytest.fixture
def derived(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> tuple[list[Dataset], list[Dataset]]:
    """The source's and the derived instances, in the order of the slices."""
    equipment = Dataset()
    equipment.Manufacturer = "before"
    place = make_series(
        ramp,
        ContributingEquipmentSequence=Sequence([equipment]),
        DerivationDescription="earlier",
        SmallestImagePixelValue=0,
        LargestImagePixelValue=999,
        LargestPixelValueInSeries=999,
        WindowCenter=40,
    )
    for path in place.iterdir():
        ds = pydicom.dcmread(path)
        block = ds.private_block(0x0029, "SECRET VENDOR", create=True)
        block.add_new(0x10, "LO", "Sentinel private")
        inner = Dataset()
        inner.add_new(0x00291010, "LO", "Sentinel nested")
        inner.CodeMeaning = "public"
        ds.ProcedureCodeSequence = Sequence([inner])
        ds.IconImageSequence = Sequence([Dataset()])
        ds.add_new(0xFFFAFFFA, "SQ", Sequence([Dataset()]))
        ds.add_new(0x60003000, "OW", b"\0\0")
        ds.add_new(0x60020010, "US", 4)  # an overlay inside the pixels' unused bits
        pydicom.dcmwrite(path, ds)
    volume = io.read(place)
    volume = volume.with_array(volume.array + 1, note="method median, size 3")
    io.write(volume, tmp_path / "out")
    before = sorted((pydicom.dcmread(p) for p in place.iterdir()), key=lambda d: d.InstanceNumber)
    return before, [pydicom.dcmread(p) for p in sorted((tmp_path / "out").iterdir())]


def test_identity_is_new_and_everything_else_stays(
    derived: tuple[list[Dataset], list[Dataset]],
) -> None:
    uids = set()
    for old, new in zip(*derived, strict=True):
        for keyword in KEPT:
            assert new[keyword].value == old[keyword].value, keyword
        assert new.SOPInstanceUID != old.SOPInstanceUID
        assert new.SOPInstanceUID == new.file_meta.MediaStorageSOPInstanceUID
        assert new.SeriesInstanceUID != old.SeriesInstanceUID
        assert new.SOPInstanceUID.startswith("2.25.")
        assert len(new.SOPInstanceUID) <= 64
        assert list(new.ImageType) == ["DERIVED", "PRIMARY", "M"]
        assert (new.SeriesNumber, new.SeriesDescription) == (1007, "DN axial test")
        assert new.ContentDate != old.ContentDate
        uids.add((new.SeriesInstanceUID, new.SOPInstanceUID))
    assert len({series for series, _ in uids}) == 1
    assert len(uids) == 3


def test_it_says_what_was_done_to_what(derived: tuple[list[Dataset], list[Dataset]]) -> None:
    for old, new in zip(*derived, strict=True):
        text = new.DerivationDescription
        assert text.startswith("earlier; meddenoise")
        assert __version__ in text
        assert "method median, size 3" in text
        codes = {(code.CodingSchemeDesignator, code.CodeValue) for code in
                 new.DerivationCodeSequence}  # fmt: skip
        assert ("DCM", "113087") in codes
        assert ("DCM", "113042") not in codes  # pixel addition, not noise reduction
        (reference,) = new.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == old.SOPClassUID
        assert reference.SpatialLocationsPreserved == "YES"
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        before, ours = new.ContributingEquipmentSequence
        assert before.Manufacturer == "before"
        assert ours.Manufacturer == "meddenoise"
        assert __version__ in ours.ContributionDescription


def test_what_no_longer_holds_is_gone(derived: tuple[list[Dataset], list[Dataset]]) -> None:
    for old, new in zip(*derived, strict=True):
        assert new.SmallestImagePixelValue == old.pixel_array.min() + 1
        assert new.LargestImagePixelValue == old.pixel_array.max() + 1
        for keyword in ("LargestPixelValueInSeries", "IconImageSequence", "RescaleSlope"):
            assert keyword not in new
        assert 0xFFFAFFFA not in new
        assert 0x60003000 in new
        assert 0x60020010 not in new
        assert not [element for element in new.iterall() if element.tag.is_private]
        assert new.ProcedureCodeSequence[0].CodeMeaning == "public"
        assert new.WindowCenter == 40


def test_the_source_in_memory_is_not_touched(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp))
    before = str(volume.source.frames[0][0].file.header)
    io.write(volume, tmp_path / "one")
    io.write(volume, tmp_path / "two")
    assert str(volume.source.frames[0][0].file.header) == before


def test_long_histories_and_descriptions_fit_their_elements(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp, SeriesDescription="x" * 64))
    io.write(volume.with_array(volume.array, note="y" * 3000), tmp_path / "out")
    ds = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert len(ds.DerivationDescription) <= 1024
    assert len(ds.SeriesDescription) == 64


def test_a_description_with_a_backslash_keeps_its_words(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    io.write(io.read(make_series(ramp, SeriesDescription="T1\\T2")), tmp_path / "out")
    ds = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert list(ds.SeriesDescription) == ["DN T1", "T2"]


def test_simulated_noise_does_not_call_itself_reduction(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp))
    io.write(volume, tmp_path / "out", derivation="noise simulation")
    ds = pydicom.dcmread(tmp_path / "out" / "IM0001.dcm")
    assert ds.SeriesDescription == "SIM axial test"
    assert [code.CodeValue for code in ds.DerivationCodeSequence] == ["NOISE_SIMULATION"]
    assert "noise simulation" in ds.DerivationDescription


def test_lossy_once_is_lossy_for_ever(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp, LossyImageCompression="01"))
    io.write(volume, tmp_path / "out")
    assert pydicom.dcmread(tmp_path / "out" / "IM0001.dcm").LossyImageCompression == "01"


def test_another_grid_is_refused(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp))
    cropped = Volume(volume.array[:, 1:], volume.affine, source=volume.source)
    with pytest.raises(GeometryError, match="no longer on the grid"):
        io.write(cropped, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_places_to_write_to(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    place = make_series(ramp)
    volume = io.read(place)
    with pytest.raises(OutputError, match="is the input"):
        io.write(volume, place, overwrite=True)
    with pytest.raises(OutputError, match="go into a directory"):
        io.write(volume, tmp_path / "out.dcm")
    io.write(volume, tmp_path / "out")
    with pytest.raises(OutputError, match="not empty"):
        io.write(volume, tmp_path / "out")
    io.write(volume, tmp_path / "out", overwrite=True)
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        io.write(volume, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "thesis.txt").exists()
    with pytest.raises(OutputError, match="not read from DICOM"):
        io.write(Volume.from_array(np.ones((2, 2, 2))), tmp_path / "other")


def test_overwriting_the_directory_of_a_single_input_is_refused(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp[:1])
    volume = io.read(place / "0998")
    with pytest.raises(OutputError, match="holds the input"):
        io.write(volume, place, overwrite=True)
    assert (place / "0998").exists()


def test_meta_elements_that_damage_brought_into_the_data_set_do_not_come_along() -> None:
    source = Dataset()
    source.Modality = "MR"
    source.add_new(0x00020010, "UI", "1.2.3")
    source.set_original_encoding(False, True)
    assert list(copied(source, keep_private=True).keys()) == [0x00080060]


@pytest.mark.parametrize(("before", "after"), [(None, 1000), (2**31 - 100, 2**31 - 1)])
def test_the_series_number_stays_one(
    make_series: Callable[..., Path],
    ramp: np.ndarray,
    tmp_path: Path,
    before: int | None,
    after: int,
) -> None:
    out = io.write(io.read(make_series(ramp, SeriesNumber=before)), tmp_path / "out")
    assert {pydicom.dcmread(path).SeriesNumber for path in out.iterdir()} == {after}


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"abc ", 1000), (b"3\\4 ", 1003), (b"inf ", 1000), (b"-99999999999", 1 - 2**31)],
)
def test_a_series_number_that_is_none_hinders_nothing(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path, before: bytes, after: int
) -> None:
    place = make_series(ramp, SeriesNumber=1234)
    plain = b"\x20\0\x11\0IS\4\0" + b"1234"
    for path in place.iterdir():
        content = path.read_bytes()
        assert content.count(plain) == 1
        length = len(before).to_bytes(2, "little")
        path.write_bytes(content.replace(plain, plain[:6] + length + before))
    out = io.write(io.read(place), tmp_path / "out")
    assert {pydicom.dcmread(path).SeriesNumber for path in out.iterdir()} == {after}


def test_an_endless_number_in_a_header_is_damage_that_is_named(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    place = make_series(ramp, AcquisitionNumber=1234)
    for path in place.iterdir():
        ds = pydicom.dcmread(path)
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        pydicom.dcmwrite(path, ds, implicit_vr=True, little_endian=True)
        start = b"\x20\0\x12\0\4\0\0\0"
        content = path.read_bytes()
        assert content.count(start + b"1234") == 1
        path.write_bytes(content.replace(start + b"1234", start + b"inf "))
    with pytest.raises(OutputError, match=r"cannot be written again: .*infinity to integer\.$"):
        io.write(io.read(place), tmp_path / "out")
    assert not (tmp_path / "out").exists()
