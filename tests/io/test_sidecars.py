from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import FileError, OutputError, ParameterError
from meddenoise.io import read, write
from meddenoise.io.sidecars import carry_sidecars, sidecars_beside, sidecars_for
from meddenoise.io.writing import write_report
from meddenoise.volume import Volume


def scan(path: Path, **sidecars: str) -> Path:
    """A NIfTI, and beside it ``json="{}"``, ..."""
    write(Volume.from_array(np.arange(64, dtype=np.float32).reshape(4, 4, 4)), path)
    stem = path.name.split(".")[0]
    for kind, text in sidecars.items():
        (path.parent / f"{stem}.{kind}").write_bytes(text.encode())
    return path


def test_all_three_by_the_name_of_the_target(tmp_path: Path) -> None:
    path = scan(tmp_path / "in/a.nii.gz", json='{"x":1}\r\n', bval="0 1000", bvec="0 1\n", txt="")
    carried = carry_sidecars(read(path), tmp_path / "out/b.v2.NII")
    assert carried.files == {
        tmp_path / "out/b.v2.json": b'{"x":1}\r\n',
        tmp_path / "out/b.v2.bval": b"0 1000",
        tmp_path / "out/b.v2.bvec": b"0 1\n",
    }
    assert carried.notes == ("Beside it: b.v2.json, b.v2.bval, b.v2.bvec.",)
    assert not (tmp_path / "out").exists()


def test_what_has_none_gets_none(tmp_path: Path) -> None:
    plain = read(scan(tmp_path / "a.nii.gz"))
    nrrd = tmp_path / "b.nrrd"
    write(plain, nrrd)
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "a.json").mkdir()
    for volume in (plain, read(nrrd), Volume.from_array(np.ones((4, 4, 4)))):
        carried = carry_sidecars(volume, tmp_path / "out.nii.gz")
        assert (carried.files, carried.notes) == ({}, ())


def test_another_format_leaves_them_and_says_so(tmp_path: Path) -> None:
    volume = read(scan(tmp_path / "a.nii.gz", bval="0", bvec="0 0 1"))
    carried = carry_sidecars(volume, tmp_path / "a.nrrd")
    assert carried.files == {}
    assert carried.notes == ("Not carried along, the result being no NIfTI: a.bval, a.bvec.",)


def test_names_of_scans(tmp_path: Path) -> None:
    for name, stem in (
        ("a.nii", "a"),
        ("b.nii.gz", "b"),
        ("c.HDR", "c"),
        ("d", "d"),
        ("e.1", "e.1"),
    ):
        (tmp_path / f"{stem}.json").write_text("{}")
        assert sidecars_beside(tmp_path / name) == [tmp_path / f"{stem}.json"]


def test_one_that_serves_both_is_left_alone(tmp_path: Path) -> None:
    volume = read(scan(tmp_path / "a.nii.gz", json="{}"))
    assert carry_sidecars(volume, tmp_path / "a.nii").files == {}
    (tmp_path / "link").symlink_to(tmp_path)
    assert carry_sidecars(volume, tmp_path / "link/a.nii").files == {}


def test_what_is_there_already_with_the_same_bytes_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"{}")
    made = sidecars_for(tmp_path / "b.nii", {".json": b"{}", ".bval": b"0"})
    assert list(made.files) == [tmp_path / "b.bval"]
    assert made.notes == ("Beside it: b.json, b.bval.",)
    (tmp_path / "b.json").write_bytes(b"other")
    assert len(sidecars_for(tmp_path / "b.nii", {".json": b"{}"}).files) == 1


def test_one_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = read(scan(tmp_path / "a.nii.gz", json="{}"))

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FileError, match=r"a\.json cannot be read: Permission denied"):
        carry_sidecars(volume, tmp_path / "b.nii")


def test_written_with_the_scan_or_not_at_all(tmp_path: Path) -> None:
    volume = read(scan(tmp_path / "a.nii.gz"))
    target, side = tmp_path / "out/b.nii.gz", tmp_path / "out/b.json"
    report = write_report(volume, target, beside={side: b"{}"})
    assert report.files == (side, target)
    assert side.read_bytes() == b"{}"
    target.unlink()
    with pytest.raises(OutputError, match=r"b\.json exists already"):
        write_report(volume, target, beside={side: b"new"})
    assert [path.name for path in target.parent.iterdir()] == ["b.json"]
    assert side.read_bytes() == b"{}"


def test_never_over_the_input(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.nii.gz")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is the input"):
        write_report(read(path), tmp_path / "b.nii", beside={path: b""}, overwrite=True)
    assert path.read_bytes() == before


def test_not_beside_a_dicom_series(tmp_path: Path, shared_data: Path) -> None:
    volume = read(shared_data / "dicom/ct_tilt_philips")
    with pytest.raises(ParameterError, match="DICOM series"):
        write_report(volume, tmp_path / "out", beside={tmp_path / "x.json": b""})
    assert not (tmp_path / "out").exists()
