"""``meddenoise denoise`` on several scans, and on what lies beside them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

import meddenoise as md

SIDECARS = {"json": b'{"RepetitionTime": 2}\r\n', "bval": b"0 1000", "bvec": b"0 1\n0 0\n0 0\n"}


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_shares_of_a_directory(cli: Any, tmp_path: Path) -> None:
    for number in range(3):
        array = np.random.default_rng(number).normal(100, 10, (6, 7, 8))
        md.write(md.Volume.from_array(array), tmp_path / "in" / f"{number}.nii.gz")
    words = ("denoise", tmp_path / "in", tmp_path / "out", "--method", "median", "--shard")
    assert cli(*words, "2/2").status == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["1.nii.gz"]
    assert cli(*words, "1/2").status == 0
    assert len([*(tmp_path / "out").iterdir()]) == 3
    said = cli(*words, "3/2")
    assert said.status == 2
    assert "say I/N" in said.sentence
    said = cli("denoise", tmp_path / "in", tmp_path / "x", "--method", "median", "--bids",
               "--shard", "1/2")  # fmt: skip
    assert said.status == 2
    assert "--participant" in said.sentence


def test_a_directory_of_scans(cli: Any, make_scan: Any, make_series: Any, tmp_path: Path) -> None:
    make_scan("in/one.nii.gz")
    make_scan("in/sub/two.nii")
    make_series("in/three")
    (tmp_path / "in/readme.txt").write_text("not a scan")
    said = cli("denoise", tmp_path / "in", tmp_path / "out", "--method", "median", "--json")
    assert (said.status, said.err) == (0, "")
    assert len(json.loads(said.out)) == 3
    assert (tmp_path / "out/one.nii.gz").is_file()
    assert (tmp_path / "out/sub/two.nii").is_file()
    assert len(list((tmp_path / "out/three").iterdir())) == 4


def test_of_three_scans_a_damaged_one_does_not_stop_the_others(
    cli: Any, make_scan: Any, tmp_path: Path, contents: Any
) -> None:
    for name in ("a", "b", "c"):
        make_scan(f"in/{name}.nii.gz")
    damaged = tmp_path / "in/b.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:900])
    before = contents(tmp_path / "in")
    said = cli("denoise", tmp_path / "in", tmp_path / "out", "--method", "median")
    assert said.status == 2
    assert sorted(contents(tmp_path / "out")) == ["a.nii.gz", "c.nii.gz"]
    assert said.out.count(" -> ") == 2
    first, summary = said.err.strip().splitlines()
    assert first.count("b.nii.gz") == 1
    assert "damaged or truncated" in first
    assert summary == "meddenoise: 1 of 3 scans failed."
    assert contents(tmp_path / "in") == before


def test_another_study_is_not_passed_over_for_the_number_of_its_series(
    cli: Any, make_series: Any, tmp_path: Path
) -> None:
    words = ("denoise", tmp_path / "in", tmp_path / "out", "--method", "median")
    for number in (1, 2):
        make_series("in/both", uid=f"1.2.3.{number}", number=number)
    make_series("in/third", uid="1.2.3.3", number=3)
    assert cli(*words).status == 0
    again = cli(*words)
    assert again.status == 0
    assert again.out.count("is there already") == 3
    for path in (tmp_path / "in/both").glob("2-*.dcm"):
        slice_ = pydicom.dcmread(path)
        slice_.StudyInstanceUID = "1.2.10"
        slice_.save_as(path)
    (place,) = (path for path in (tmp_path / "out").rglob("*series-2") if path.is_dir())
    (place / ".DS_Store").write_bytes(b"what a desktop keeps there")
    said = cli(*words)
    assert said.status == 2
    assert said.out.count("is there already") == 2
    assert "series-2 is the result of another study" in said.err + said.out
    (place / ".DS_Store").unlink()
    assert cli(*words, "--overwrite").status == 0


def test_a_glob(cli: Any, make_scan: Any, make_series: Any, tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1"):
        make_scan(f"in/{name}.nii.gz")
    said = cli("denoise", tmp_path / "in/a*.nii.gz", tmp_path / "out", "--method", "identity")
    assert said.status == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a1.nii.gz", "a2.nii.gz"]
    make_series("dicom/series")  # a glob for one DICOM series
    said = cli("denoise", tmp_path / "dicom/ser*", tmp_path / "dout", "--method", "identity")
    assert said.status == 0, said.err
    assert len(list((tmp_path / "dout").iterdir())) == 4


def test_a_glob_for_one_series_beside_others(cli: Any, make_series: Any, tmp_path: Path) -> None:
    make_series("in", uid="1.2.3", number=5)
    make_series("in/below", uid="1.2.4", number=6)
    said = cli("denoise", tmp_path / "in/5-*.dcm", tmp_path / "out", "--method", "median")
    assert said.status == 0, said.err
    assert md.read(tmp_path / "out").shape == (20, 16, 4)
    # Of two that match, none is chosen for the user.
    (tmp_path / "in/5-0.dcm").rename(tmp_path / "in/below/5-0.dcm")
    said = cli("denoise", tmp_path / "in/below/*.dcm", tmp_path / "two", "--method", "median")
    assert said.status == 2
    assert "holds 2 series" in said.err


def test_odd_names_and_ways(
    cli: Any, make_scan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_scan("Ünï cödé/my scan [1].nii.gz").rename(tmp_path / "Ünï cödé/my scan [1].NII.GZ")
    (tmp_path / "link").symlink_to(tmp_path / "Ünï cödé")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    method = ("--method", "identity")
    assert cli("denoise", "link/my scan [1].NII.GZ", "new/deep/ö.NII.GZ", *method).status == 0
    assert (tmp_path / "new/deep/ö.NII.GZ").is_file()
    assert cli("denoise", "~/link/my scan [1].NII.GZ", "~/home/", *method).status == 0
    assert (tmp_path / "home/my scan [1].NII.GZ").is_file()
    assert cli("denoise", "./link", "../" + tmp_path.name + "/batch", *method).status == 0
    assert (tmp_path / "batch/my scan [1].NII.GZ").is_file()


def test_names_as_long_as_can_be(cli: Any, make_scan: Any, tmp_path: Path) -> None:
    longest = make_scan(f"in/{'x' * 251}.nii")  # .json in its place would be too long
    make_scan("in/short.nii")
    make_scan("in/nameless.nii").rename(tmp_path / "in" / ("n" * 255))  # as would be .nii.gz
    said = cli("denoise", tmp_path / "in", tmp_path / "out", "--method", "median")
    assert said.status == 2
    assert "n.nii.gz cannot be written: the name is too long" in said.err
    assert "meddenoise: 1 of 3 scans failed." in said.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {longest.name, "short.nii"}
    for more in ((tmp_path / f"{'y' * 252}.nii",), (tmp_path / "b.nii", "--keep-noise", "n" * 256)):
        said = cli("denoise", longest, *more, "--method", "median")
        assert said.status == 2
        assert "the name is too long" in said.sentence
    assert not (tmp_path / "b.nii").exists()


def test_a_place_that_may_not_be_entered(
    cli: Any, make_scan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barred, lstat = tmp_path / "barred", os.lstat

    def refuse(path: Any, **more: Any) -> os.stat_result:  # root, who may be testing, may go there
        if Path(path).parent == barred:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return lstat(path, **more)

    scan = make_scan("a.nii.gz")
    monkeypatch.setattr(os, "lstat", refuse)
    for more in ((barred / "b.nii",), (tmp_path / "b.nii", "--keep-noise", barred / "n.nii")):
        said = cli("denoise", scan, *more, "--method", "median")
        assert said.status == 2
        assert "cannot be written: a directory above it may not be entered." in said.sentence
    assert not (tmp_path / "b.nii").exists()


def test_what_lies_in_the_output_already_is_no_input(
    cli: Any, make_scan: Any, tmp_path: Path
) -> None:
    make_scan("a.nii.gz")
    make_scan("b.nii.gz")
    words = ("denoise", tmp_path, tmp_path / "done", "--method", "identity", "--overwrite")
    for _ in range(2):
        said = cli(*words, "--json")
        assert said.status == 0, said.err
        assert len(json.loads(said.out)) == 2


def test_several_scans_need_a_directory(cli: Any, make_scan: Any, tmp_path: Path) -> None:
    make_scan("in/a.nii.gz")
    make_scan("in/b.nii.gz")
    said = cli("denoise", tmp_path / "in", tmp_path / "out.nii.gz", "--method", "median")
    assert said.status == 2
    assert "holds 2 scans" in said.sentence


def beside(scan: Path) -> Path:
    """The same scan, with a JSON, b-values and gradients beside it."""
    for kind, content in SIDECARS.items():
        scan.with_name(f"{scan.name.split('.')[0]}.{kind}").write_bytes(content)
    return scan


def test_what_lies_beside_a_nifti_goes_along(cli: Any, scan: Path, tmp_path: Path) -> None:
    said = cli("denoise", beside(scan), tmp_path / "out/clean.nii", "--method", "median")
    assert said.status == 0, said.err
    assert "Beside it: clean.json, clean.bval, clean.bvec." in said.out
    for kind, content in SIDECARS.items():
        assert (tmp_path / f"out/clean.{kind}").read_bytes() == content
    said = cli("denoise", scan, tmp_path / "other/clean.nrrd", "--method", "median")
    assert "Not carried along, the result being no NIfTI: scan.json" in said.out
    assert os.listdir(tmp_path / "other") == ["clean.nrrd"]


def test_what_lies_beside_the_scans_of_a_directory_goes_along(
    cli: Any, make_scan: Any, tmp_path: Path, contents: Any
) -> None:
    beside(make_scan("in/sub/a.nii.gz"))
    make_scan("in/b.nii.gz")
    words = ("denoise", tmp_path / "in", tmp_path / "out", "--method", "identity")
    assert cli(*words).status == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "in")  # identity: byte by byte
    assert cli(*words, "--overwrite").status == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "in")


def test_a_sidecar_in_the_way_is_kept_and_nothing_is_written(
    cli: Any, scan: Path, tmp_path: Path, contents: Any
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/clean.bval").write_bytes(b"precious")
    before = contents(tmp_path / "out")
    words = ("denoise", beside(scan), tmp_path / "out/clean.nii.gz", "--method", "median")
    said = cli(*words)
    assert said.status == 2
    assert "clean.bval exists" in said.sentence
    assert contents(tmp_path / "out") == before
    assert cli(*words, "--overwrite").status == 0
    assert (tmp_path / "out/clean.bval").read_bytes() == SIDECARS["bval"]


def test_one_input_of_a_glob_is_not_overwritten_by_another(
    cli: Any, make_scan: Any, tmp_path: Path, contents: Any
) -> None:
    one, other = beside(make_scan("in/a.nii.gz")), make_scan("in/out/a.nii")
    other.with_name("a.json").write_text("precious")
    make_scan("in/b.nii.gz"), make_scan("in/out/b.nii.gz", values(one) + 1)
    before = contents(tmp_path / "in")
    words = ("denoise", f"{tmp_path}/in/**/*.nii*", tmp_path / "in/out", "--method", "median")
    said = cli(*words, "--overwrite")
    assert said.status == 2
    assert "a.json is another input" in said.err
    assert "out/b.nii.gz is another input" in said.err
    after = contents(tmp_path / "in")
    assert {name: after[name] for name in before} == before
