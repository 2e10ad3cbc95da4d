"""``meddenoise denoise --keep-noise``: what is told, and DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import meddenoise as md


def test_the_noise_of_an_unsigned_series_has_both_signs(
    cli: Any, make_series: Any, tmp_path: Path
) -> None:
    series, clean, noise = make_series(), tmp_path / "clean", tmp_path / "noise"
    said = cli("denoise", series, clean, "--method", "median", "--keep-noise", noise)
    assert (said.status, said.err) == (0, "")
    noisy, result, taken = (md.read(place).array for place in (series, clean, noise))
    np.testing.assert_array_equal(taken, noisy - result)
    assert taken.min() < -10


def test_the_noise_of_a_series_lies_beside_its_result(
    cli: Any, make_series: Any, tmp_path: Path
) -> None:
    clean = tmp_path / "clean"
    said = cli(
        "denoise", make_series(), clean, "--method", "median", "--keep-noise", clean / "noise"
    )
    assert said.status == 2
    assert "one of the two lies in the other" in said.sentence
    assert not clean.exists()


def test_a_scan_without_its_noise_is_one_scan(cli: Any, make_scan: Any, tmp_path: Path) -> None:
    make_scan("in/a.nii.gz"), make_scan("in/b.nii.gz")
    # A name that is there and cannot be read as a result is seen when the noise is written.
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.nii.gz").write_text("no scan")
    words = ("denoise", tmp_path / "in", tmp_path / "out", "--method", "median")
    said = cli(*words, "--keep-noise", tmp_path / "noise")
    assert said.status == 2
    assert "b.nii.gz is written, but not its noise" in said.err
    assert said.err.splitlines()[-1] == "meddenoise: 1 of 2 scans failed."


def test_a_result_and_an_error_are_counted_once(
    cli: Any, make_scan: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    from meddenoise.errors import OutputError
    from meddenoise.workflows import kept_noise

    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full.")

    monkeypatch.setattr(kept_noise, "write_report", full)
    make_scan("in/a.nii.gz"), make_scan("in/b.nii.gz")
    words = ("denoise", tmp_path / "in", tmp_path / "out", "--method", "median")
    said = cli(*words, "--keep-noise", tmp_path / "noise")
    assert said.status == 2
    assert said.err.splitlines()[-1] == "meddenoise: 2 of 2 scans failed."
