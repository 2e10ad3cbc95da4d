"""``meddenoise denoise``: what cannot be done is one sentence, and nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import meddenoise as md


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--method", "median", "--set", "sise=5"], "sise is no key here (did you mean 'size'?)"),
        (["--method", "median", "--set", "size=big"], "size must be a whole number"),
        (["--method", "median", "--set", "size=true"], "size must be a whole number, not True"),
        (["--method", "median", "--set", "size=2"], "size is 2"),
        (["--method", "median", "--set", "size"], "'size' is no override"),
        (["--method", "medain"], "did you mean 'median'?"),
        (["--method", "bilateral", "--sigma", "-1"], "level"),
        (["--method", "bilateral", "--sigma", "much"], "'much' is no noise level"),
        (["--method", "mppca"], "4-D"),
        (["--method", "median", "--sigma", "5"], "'median' does not look at the noise's level"),
        (["--method", "patch2self", "--sigma", "5"], "leave --sigma out"),
        (["--method", "mean", "--set", "size=3", "--sigma", "5"], "and size=3 says it already"),
        (["--method", "median", "--stabilise", "anscombe", "--coils", "4"], "--coils is for magn"),
        (["--stabilise", "anscombe", "--coils", "4"], "--coils is for magnitude MRI"),
    ],
)
def test_wrong_options_are_said(cli: Any, scan: Path, words: list[str], told: str) -> None:
    output = scan.with_name("out.nii.gz")
    said = cli("denoise", scan, output, *words)
    assert said.status == 2
    assert told in said.sentence
    assert not output.exists()


def test_a_model_takes_no_options_but_those_of_how_it_is_run(
    cli: Any, scan: Path, models: dict[int, Path]
) -> None:
    refused = (
        ("--set", "size=3", "there are: tile, tile_voxels"),
        ("--sigma", "5%", "for --method"),
    )
    for option, value, told in refused:
        said = cli("denoise", scan, scan.with_name("o.nii.gz"), "--model", models[3], option, value)
        assert said.status == 2
        assert told in said.sentence
    for name, option in (("plain", "overlap=0.3"), ("flips", "flips=true")):
        output = scan.with_name(f"{name}.nii.gz")
        said = cli(
            "denoise", scan, output, "--model", models[3], "--device", "cpu", "--set", option
        )
        assert said.status == 0
    plain, flips = (md.read(scan.with_name(f"{n}.nii.gz")).array for n in ("plain", "flips"))
    assert not np.allclose(plain, flips, rtol=1e-4)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "constant", "no voxel"])
def test_a_bad_scan_is_one_sentence_and_leaves_nothing(
    cli: Any, make_scan: Any, models: dict[int, Path], tmp_path: Path, contents: Any, kind: str
) -> None:
    scan = tmp_path / "scan.nii.gz"
    told = {
        "missing": "no such file",
        "empty": "There is no scan in",
        "text": "is no scan although it is called .nii.gz",
        "truncated": "damaged or truncated",
        "constant": "it is constant, 7 everywhere",
        "no voxel": "no voxel is finite",
    }[kind]
    if kind == "empty":
        scan = tmp_path / "directory"
        scan.mkdir()
    elif kind == "text":
        scan.write_text("Dear reader, this is no scan.\n" * 50)
    elif kind == "truncated":
        make_scan()
        scan.write_bytes(scan.read_bytes()[:1500])
    elif kind == "constant":
        make_scan(array=np.full((16, 16, 12), 7, np.float32))
    elif kind == "no voxel":
        make_scan(array=np.full((16, 16, 12), np.nan, np.float32))
    before = contents(tmp_path)
    said = cli("denoise", scan, tmp_path / "new/out.nii.gz", "--model", models[3])
    assert said.status == 2
    assert told in said.sentence
    assert said.out == ""
    assert contents(tmp_path) == before


def test_two_series_in_one_directory_are_named(cli: Any, make_series: Any, tmp_path: Path) -> None:
    make_series("both", uid="1.2.3", number=5)
    make_series("both", uid="1.2.4", number=6)
    words = ("denoise", tmp_path / "both", tmp_path / "out", "--method", "identity")
    said = cli(*words)
    assert said.status == 2
    for word in ("2 series", "number 5", "number 6", "1.2.3", "1.2.4"):
        assert word in said.err
    assert "SENTINEL" not in said.err
    assert not (tmp_path / "out").exists()
    assert cli(*words, "--series", "6").status == 0


def test_a_model_of_another_dimensionality(
    cli: Any, models: dict[int, Path], tmp_path: Path
) -> None:
    from PIL import Image

    Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(tmp_path / "image.png")
    said = cli("denoise", tmp_path / "image.png", tmp_path / "out.png", "--model", models[3])
    assert said.status == 2
    assert "3-D" in said.sentence
    assert "2-D" in said.sentence
    assert not (tmp_path / "out.png").exists()
    said = cli("denoise", tmp_path / "image.png", tmp_path / "out.png", "--model", models[2])
    assert said.status == 0, said.err


def test_files_that_are_no_models(cli: Any, scan: Path, models: dict[int, Path]) -> None:
    output = scan.with_name("out.nii.gz")
    broken = scan.with_name("broken.safetensors")
    broken.write_bytes(models[3].read_bytes()[:-100])
    for model in (scan, scan.with_name("none.safetensors"), broken, scan.parent):
        said = cli("denoise", scan, output, "--model", model)
        assert said.status == 2, said
        assert model.name in said.sentence
        assert not output.exists()


def test_how_to_denoise_must_be_said_once(cli: Any, scan: Path, models: dict[int, Path]) -> None:
    output = scan.with_name("out.nii.gz")
    said = cli("denoise", scan, output, "--model", models[3], "--method", "median")
    assert said.status == 2
    assert "--model FILE or --method NAME, not both" in said.sentence
    said = cli("denoise", scan, output, "--method", "medain")
    assert said.status == 2
    assert "did you mean 'median'" in said.sentence
    said = cli("denoise", scan, output, "--model", models[3], "--device", "abacus")
    assert said.status == 2
    assert "abacus" in said.sentence
    assert not output.exists()


def test_an_output_that_exists_is_kept_unless_asked(cli: Any, scan: Path) -> None:
    output = scan.with_name("out.nii.gz")
    output.write_text("precious")
    words = ("denoise", scan, output, "--method", "identity")
    said = cli(*words)
    assert said.status == 2
    assert "exists" in said.sentence
    assert "--overwrite" in said.sentence
    assert output.read_text() == "precious"
    assert cli(*words, "--overwrite").status == 0
    np.testing.assert_array_equal(values(output), values(scan))


def test_inputs_are_never_overwritten(
    cli: Any, scan: Path, make_series: Any, tmp_path: Path, contents: Any
) -> None:
    series = make_series()
    link, hard = tmp_path / "link.nii.gz", tmp_path / "hard.nii.gz"
    link.symlink_to(scan)
    os.link(scan, hard)
    before = contents(tmp_path)
    pairs = [
        (scan, scan), (scan, link), (link, scan), (scan, hard), (scan, scan.parent),
        (series, series), (series, series / "out"), (series / "5-1.dcm", series),
        (series / "5-1.dcm", series / "5-2.dcm"), (tmp_path, tmp_path),
    ]  # fmt: skip
    for source, output in pairs:
        said = cli("denoise", source, output, "--method", "median", "--overwrite")
        assert said.status == 2, (source, output)
        assert contents(tmp_path) == before, (source, output)


def test_a_directory_of_other_things_is_not_replaced_by_a_series(
    cli: Any, make_series: Any, tmp_path: Path
) -> None:
    precious = tmp_path / "results/precious.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    said = cli("denoise", make_series(), precious.parent, "--method", "median", "--overwrite")
    assert said.status == 2
    assert precious.read_text() == "years of work"


@pytest.mark.parametrize("output", ["file.txt/out.nii.gz", "out.xyz", "out.dcm", "out.mhd"])
def test_an_impossible_output(
    cli: Any, scan: Path, tmp_path: Path, contents: Any, output: str
) -> None:
    (tmp_path / "file.txt").write_text("in the way")
    before = contents(tmp_path)
    said = cli("denoise", scan, tmp_path / output, "--method", "median")
    assert said.status == 2
    assert output in said.sentence
    assert contents(tmp_path) == before
    assert not (tmp_path / output).exists()


def test_a_read_only_directory(
    cli: Any, scan: Path, tmp_path: Path, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(tmp_path)
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    said = cli("denoise", scan, tmp_path / "out.nii.gz", "--method", "median")
    assert said.status == 2
    assert "cannot be written" in said.sentence
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_nothing(
    cli: Any, scan: Path, tmp_path: Path, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)  # when the file is made and its blocks are asked for
    said = cli("denoise", scan, tmp_path / "out.nii.gz", "--method", "median")
    assert said.status == 2
    assert "the disk is full" in said.sentence
    assert contents(tmp_path) == before
