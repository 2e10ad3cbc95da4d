from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from meddenoise import io
from meddenoise.errors import AmbiguousInput, FileError

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")


def write_index(place: Path, files: list[list[str]]) -> Path:
    ds = Dataset()
    records = []
    for parts in files:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = parts
        records.append(record)
    ds.DirectoryRecordSequence = Sequence(records)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    pydicom.dcmwrite(place / "DICOMDIR", ds, enforce_file_format=True)
    return place / "DICOMDIR"


@pytest.fixture
def medium(make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path) -> Path:
    """Two series of three files each below IMAGES, of which an index names what it is told to."""
    make_series(ramp, name="one", SeriesInstanceUID="1.2.5", SeriesNumber=5)
    make_series(ramp + 1, name="two", SeriesInstanceUID="1.2.6", SeriesNumber=6)
    (tmp_path / "cd" / "IMAGES").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / name).rename(tmp_path / "cd" / "IMAGES" / name)
    return tmp_path / "cd"


def names(*series: str) -> list[list[str]]:
    return [["IMAGES", one.upper(), f"{998 - n:04}"] for one in series for n in range(3)]


def test_an_index_stands_for_the_files_that_it_names(medium: Path, ramp: np.ndarray) -> None:
    index = write_index(medium, names("one"))  # in capitals, as on the medium
    volume = io.read(index)
    np.testing.assert_array_equal(volume.array[0].T, ramp)
    index = write_index(medium, names("one", "two"))
    with pytest.raises(AmbiguousInput, match="2 series"):
        io.read(index)
    assert io.read(index, series="6").array.min() == 1
    assert io.read(medium, series="6").array.min() == 1  # the directory around it, too
    found = io.list_scans(index)
    assert [scan.path for scan in found] == [medium / "IMAGES" / "one", medium / "IMAGES" / "two"]
    for scan in found:
        assert io.read(scan.path, series=scan.series).shape == (5, 4, 3)


@pytest.mark.parametrize(
    "parts", [["..", "secret"], ["/etc", "hosts"], ["IMAGES", "../../secret"], ["C:", "secret"],
              ["IMAGES\0", "x"]],
)  # fmt: skip
def test_no_file_elsewhere_is_read(medium: Path, parts: list[str]) -> None:
    with pytest.raises(FileError, match=r"not below its directory|not there"):
        io.read(write_index(medium, [parts]))


def test_no_link_leads_out(medium: Path, tmp_path: Path) -> None:
    (medium / "IMAGES" / "one" / "0998").rename(tmp_path / "outside")
    (medium / "IMAGES" / "one" / "0998").symlink_to(tmp_path / "outside")
    with pytest.raises(FileError, match="leads out"):
        io.read(write_index(medium, names("one")))


def test_missing_files_are_counted(medium: Path) -> None:
    (medium / "IMAGES" / "one" / "0998").unlink()
    with pytest.raises(FileError, match=r"names 1 files that are not there.*0998"):
        io.read(write_index(medium, names("one")))
    with pytest.raises(FileError, match="names no images"):
        io.read(write_index(medium, []))
