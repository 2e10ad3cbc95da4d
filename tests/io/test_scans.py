from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from meddenoise import io
from meddenoise.errors import FileError
from meddenoise.io.dicom import listing
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.grouping import Stack
from meddenoise.volume import Volume


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    volume = Volume.from_array(np.ones((3, 3, 3), np.float32))
    for name in ("sub-02/b.nii.gz", "sub-01/a.nii", "sub-01/c.nrrd", "d.mha", ".hidden/e.nii"):
        io.write(volume, root / name)
    for name in ("notes.txt", "sub-01/a.json", "sub-01/a.bvec", "README.md", ".part.nii.gz"):
        (root / name).write_text("{}")
    return root


def test_a_pipe_is_no_file_to_wait_for(tree: Path) -> None:
    before = io.list_scans(tree)
    os.mkfifo(tree / "pipe.nii")
    assert io.list_scans(tree) == before
    assert [s.path for s in io.list_scans(str(tree / "*"))] == [s.path for s in before]
    with pytest.raises(FileError, match=r"pipe\.nii is neither a file nor a directory"):
        io.list_scans(tree / "pipe.nii")


@pytest.mark.parametrize("end", [".hdr", ".img"])
def test_a_single_file_that_is_no_scan_is_called_what_it_is(tmp_path: Path, end: str) -> None:
    kind = nib.Nifti1Pair if end == ".img" else nib.AnalyzeImage
    nib.save(kind(np.ones((3, 3, 3), np.int16), np.eye(4)), tmp_path / f"a{end}")
    with pytest.raises(FileError) as read:
        io.read(tmp_path / f"a{end}")
    with pytest.raises(FileError) as listed:
        io.list_scans(tmp_path / f"a{end}")
    assert str(listed.value) == str(read.value)


def test_scans_are_found_in_order_and_other_files_passed_over(tree: Path) -> None:
    found = io.list_scans(tree)
    names = [str(scan.relative) for scan in found]
    assert names == ["d.mha", "sub-01/a.nii", "sub-01/c.nrrd", "sub-02/b.nii.gz"]
    assert [scan.format for scan in found] == ["metaimage", "nifti", "nrrd", "nifti"]
    for scan in found:
        assert io.read(scan.path, series=scan.series).shape == (3, 3, 3)


def test_a_file_and_a_glob(tree: Path) -> None:
    (scan,) = io.list_scans(tree / "d.mha")
    assert (scan.path, scan.relative) == (tree / "d.mha", Path("d.mha"))
    found = io.list_scans(str(tree / "sub-*" / "*.nii*"))
    assert [str(scan.relative) for scan in found] == ["sub-01/a.nii", "sub-02/b.nii.gz"]
    assert [str(s.relative) for s in io.list_scans(str(tree / "sub-01*"))] == [
        "sub-01/a.nii",
        "sub-01/c.nrrd",
    ]


@pytest.mark.parametrize("pattern", ["**/*.nii*", "*", "*/**/*.nii*"])
def test_a_glob_comes_to_a_scan_by_one_way(tree: Path, pattern: str) -> None:
    for link, leads in (("a-link", "sub-01"), ("back", "."), ("sub-01/up", "..")):
        (tree / link).symlink_to(leads)
    names = [str(scan.relative) for scan in io.list_scans(str(tree / pattern))]
    assert [name for name in names if not name.startswith("d.")] == [
        "sub-01/a.nii",
        *(["sub-01/c.nrrd"] if pattern == "*" else []),
        "sub-02/b.nii.gz",
    ]


def test_a_glob_takes_what_only_a_link_leads_to(tree: Path) -> None:
    (tree / "sub-01" / "again.nii").symlink_to("a.nii")  # a name of its own
    (tree.parent / "link").symlink_to(tree)
    names = [str(scan.relative) for scan in io.list_scans(f"{tree.parent}/link/**/*.nii")]
    assert names == ["sub-01/a.nii", "sub-01/again.nii"]


def test_the_way_does_not_depend_on_how_the_place_is_named(tree: Path) -> None:
    (tree / "a-link").symlink_to("sub-01")
    (tree.parent / "link").symlink_to(tree)
    (tree / "s[1]").mkdir()
    (tree / "s[1]" / "d.nii").write_bytes((tree / "sub-01" / "a.nii").read_bytes())
    for place in (tree, tree.parent / "link", tree / "sub-01" / ".."):
        names = [str(scan.relative) for scan in io.list_scans(f"{place}/**/*.nii")]
        assert [name for name in names if "/" in name] == ["s[1]/d.nii", "sub-01/a.nii"]


def test_nothing_there_is_said(tree: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tree / "*.gipl", tree / "notes.txt"):
        with pytest.raises(FileError):
            io.list_scans(path)
    (tmp_path / "empty").mkdir()
    assert io.list_scans(tmp_path / "empty") == []


def test_a_damaged_scan_is_listed_so_that_reading_says_why(tree: Path) -> None:
    (tree / "broken.nii.gz").write_bytes(b"not gzip")
    (scan,) = [s for s in io.list_scans(tree) if s.path.name == "broken.nii.gz"]
    with pytest.raises(FileError, match=r"broken\.nii\.gz"):
        io.read(scan.path)


def test_each_dicom_series_is_one_entry(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    root = tmp_path / "study"
    for name, uid, number in (("a", "1.2.1", 1), ("both", "1.2.2", 2), ("both", "1.2.3", 3)):
        make_series(ramp + number, name=f"study_{name}", first=10 * number,
                    SeriesInstanceUID=uid, SeriesNumber=number)  # fmt: skip
    root.mkdir()
    for name in ("a", "both"):
        (tmp_path / f"study_{name}").rename(root / name)
    found = io.list_scans(root)
    assert [str(scan.relative) for scan in found] == ["a", "both/series-2", "both/series-3"]
    assert [scan.series for scan in found] == ["1.2.1", "1.2.2", "1.2.3"]
    for number, scan in ((2, found[1]), (3, found[2])):
        np.testing.assert_array_equal(io.read(scan.path, series=scan.series).array.min(), number)


def test_stacks_of_one_uid_in_several_directories(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    """Each is read from its own, where others have other numbers."""
    root = tmp_path / "study"
    (root / "b").mkdir(parents=True)
    sagittal, coronal = [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]
    for number, orientation in ((3, coronal), (2, sagittal)):
        make_series(
            ramp[:number] + 10 * number, name="b", first=10 * number,
            ImageOrientationPatient=orientation,
            per_slice=lambda index: {"ImagePositionPatient": [5.0 * index] * 3},
        )  # fmt: skip
    (tmp_path / "b").rename(root / "b")
    make_series(np.concatenate([ramp, ramp]) + 99, name="a").rename(root / "a")
    found = io.list_scans(root)
    assert [str(scan.relative) for scan in found] == ["a", "b/series-7", "b/series-7-2"]
    volumes = [io.read(scan.path, series=scan.series) for scan in found]
    assert [volume.shape[2] for volume in volumes] == [6, 3, 2]
    assert [volume.array.min() for volume in volumes] == [99, 30, 20]
    (second,) = io.list_scans(root, series="1.2.3.4.5#2")  # of all three
    assert io.read(second.path, series="1.2.3.4.5#2").array.min() == 30


def test_a_series_with_copies_elsewhere_is_read_from_its_own_directory(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    root = tmp_path / "study"
    place = root / "a"
    place.parent.mkdir()
    make_series(ramp, name="a").rename(place)
    shutil.copytree(place, root / "b")
    (root / "c").mkdir()
    (root / "c/bad.dcm").write_bytes(b"junk")
    for series in (None, "1.2.3.4.5", "7"):
        scan = io.list_scans(root, series=series)[0]
        assert scan.path == place
        assert io.read(scan.path, series=scan.series).shape[2] == 3


def test_many_directories_of_one_uid_are_grouped_once_each(
    make_series: Callable[..., Path],
    ramp: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "study"
    root.mkdir()
    for number in range(6):
        place = make_series(
            ramp, name=f"{number}", first=10 * number, PatientID=f"patient {number}"
        )
        place.rename(root / place.name)
    grouped = []
    stacks_of = listing.stacks_of

    def counted(files: list[DicomFile]) -> list[Stack]:
        grouped.append(len(files))
        return stacks_of(files)

    monkeypatch.setattr(listing, "stacks_of", counted)
    assert len(io.list_scans(root)) == 6
    assert grouped == [18, *[3] * 6]


def test_a_stack_has_the_same_number_however_it_is_found(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    root = make_series(ramp)
    make_series(
        ramp + 99, first=10, ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        per_slice=lambda index: {"ImagePositionPatient": [5.0 * index, 0, 0]},
    )  # fmt: skip
    (root / "0").mkdir()
    for path in [*root.glob("098*")]:
        path.rename(root / "0" / path.name)
    for place in (root, root / "**" / "0*", root / "*"):
        for scan in io.list_scans(str(place)):
            volume = io.read(scan.path, series=scan.series)
            assert (volume.array.min() == 99) == (scan.path.name == "0")


def test_a_series_is_chosen_wherever_it_lies(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    root = tmp_path / "study"
    root.mkdir()
    for name, uid, number in (("a", "1.2.1", 1), ("b", "1.2.2", 2), ("c", "1.2.3", 2)):
        make_series(
            ramp, name=name, SeriesInstanceUID=uid, SeriesNumber=number,
            SeriesDescription=f"Scan {name}",
        ).rename(root / name)  # fmt: skip
    io.write(Volume.from_array(np.ones((3, 3, 3), np.float32)), root / "d.nii")
    (root / "a" / "lost.dcm").write_bytes(b"")
    for series, names in (("1.2.3", "c"), ("2", "bc"), ("1", "a"), ("scan B", "b")):
        found = io.list_scans(root, series=series)
        assert [scan.path.name for scan in found] == list(names)
    with pytest.raises(FileError, match=r"study holds no series '9'; there are:(\n.*){3}$"):
        io.list_scans(root, series="9")
    (file,) = io.list_scans(next((root / "b").iterdir()), series="scan B")
    assert io.read(file.path, series=file.series).shape == (5, 4, 3)


def test_damage_in_dicom_is_listed_once(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    """By the series that it belongs to or may belong to, else by itself; reading says which."""
    root = tmp_path / "study"
    root.mkdir()
    for name, uid in (("a", "1.2.1"), ("b", "1.2.2"), ("c", "1.2.3")):
        make_series(ramp, name=name, SeriesInstanceUID=uid).rename(root / name)
    truncated = root / "a" / "0998"
    truncated.write_bytes(truncated.read_bytes()[:-30])
    (root / "b" / "lost.dcm").write_bytes(b"")  # of which series it was is not known
    for path in (root / "c").iterdir():
        path.write_bytes(path.read_bytes()[:-30])  # all of one series
    (root / "d").mkdir()
    (root / "d" / "start.dcm").write_bytes(bytes(128) + b"DICM" + b"\x08\0\x05\0CS")
    (root / "d" / "random.dcm").write_bytes(np.random.default_rng(0).bytes(3000))
    found = io.list_scans(root)
    assert [str(scan.relative) for scan in found] == [
        "a", "b", "c/0996", "d/random.dcm", "d/start.dcm",
    ]  # fmt: skip
    for scan, culprit in zip(
        found, ["a/0998", "b/lost.dcm", "c/0996", "d/random.dcm", "d/start.dcm"], strict=True
    ):
        with pytest.raises(FileError, match=culprit):
            io.read(scan.path, series=scan.series)


@pytest.mark.parametrize("content", [b"", b"not DICOM " * 100])
def test_no_slice_is_dropped_because_it_was_emptied_or_overwritten(
    make_series: Callable[..., Path], ramp: np.ndarray, content: bytes
) -> None:
    place = make_series(ramp)
    for path in list(place.iterdir()):
        path.rename(path.with_suffix(".dcm"))
    (place / "0996.dcm").write_bytes(content)
    said = "is empty" if not content else "is no scan although it is called .dcm"
    with pytest.raises(FileError, match=rf"0996\.dcm {said}"):
        io.read(place)
    volume = io.read(place / "0998.dcm")  # whose series the other was is not known
    assert any("0996.dcm" in note for note in volume.source.oddities)


@pytest.mark.parametrize("content", [b"", bytes(5000)])
def test_no_numbered_slice_is_dropped_because_it_is_blank(
    make_series: Callable[..., Path], ramp: np.ndarray, content: bytes
) -> None:
    """Exports have no extensions, and a slice that is missing at an end leaves no gap."""
    place = make_series(ramp)
    for name in ("README", "lock", "notes2.txt", "scores.h5", "VERSION1", "LOCK2", "lock.1"):
        (place / name).write_bytes(content)
    assert io.read(place).shape[2] == 3
    (place / "0995").write_bytes(content)
    with pytest.raises(FileError, match=r"0995 is (empty|no scan|not)"):
        io.read(place)
    volume = io.read(place / "0998")  # whose series the other was is not known
    assert any("0995" in note for note in volume.source.oddities)
    (place / "0995").rename(place / "1.2.840.5")
    assert io.read(place).shape[2] == 3  # no slice is called so
    (place / "0997").rename(place / "1.2.840.7")
    with pytest.raises(FileError, match=r"1\.2\.840\.5 "):
        io.read(place)
