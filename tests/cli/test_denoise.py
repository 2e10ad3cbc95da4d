"""``meddenoise denoise`` on one scan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

import meddenoise as md


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("method", ["identity", "gaussian", "median"])
def test_a_method_without_training(cli: Any, scan: Path, method: str) -> None:
    output = scan.with_name("out.nii.gz")
    said = cli("denoise", scan, output, "--method", method)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"{scan} -> {output}")
    before, after = nib.load(scan), nib.load(output)
    np.testing.assert_array_equal(before.affine, after.affine)
    assert after.get_data_dtype() == before.get_data_dtype()
    flat = (slice(9, None),) * 2
    if method == "identity":
        np.testing.assert_array_equal(values(scan), values(output))
    else:
        assert values(output)[flat].std() < 0.6 * values(scan)[flat].std()


def test_options_of_the_method(cli: Any, scan: Path) -> None:
    results = []
    for options in ((), ("--set", "size=5"), ("--set", "size=1")):
        output = scan.with_name(f"out{len(results)}.nii.gz")
        said = cli("denoise", scan, output, "--method", "median", *options)
        assert (said.status, said.err) == (0, "")
        results.append(values(output))
    assert results[1].std() < results[0].std() < results[2].std()
    np.testing.assert_array_equal(results[2], values(scan))


def test_the_noise_can_be_told(cli: Any, scan: Path) -> None:
    reference = np.percentile(values(scan), 99.9)
    results = []
    for sigma in (f"{reference / 10:.9g}", "10%", "SNR 10", "0"):
        output = scan.with_name(f"out{len(results)}.nii.gz")
        said = cli("denoise", scan, output, "--method", "bilateral", "--sigma", sigma)
        assert (said.status, said.err) == (0, "")
        results.append(values(output).astype(np.float64))
    for result in results[1:3]:
        np.testing.assert_allclose(result, results[0], atol=1.01 * np.ptp(values(scan)) * 1e-4)
    np.testing.assert_array_equal(results[3], values(scan))


def test_by_a_model(cli: Any, scan: Path, models: dict[int, Path]) -> None:
    for dims in (2, 3):  # a 2-D model goes through a volume slice by slice
        output = scan.with_name(f"out{dims}.nii.gz")
        said = cli("denoise", scan, output, "--model", models[dims], "--device", "cpu")
        assert (said.status, said.err) == (0, "")
        assert np.isfinite(values(output)).all()
        assert not np.array_equal(values(output), values(scan))


def test_json_says_what_was_done(cli: Any, scan: Path) -> None:
    output = scan.with_name("out.nii.gz")
    said = cli("denoise", scan, output, "--method", "median", "--json")
    (told,) = json.loads(said.out)
    assert (told["input"], told["output"], told["error"]) == (str(scan), str(output), None)
    assert (told["voxels"], told["untouched"], told["clipped"]) == (16 * 20 * 12, 0, 0)
    assert told["seconds"] > 0
    assert told["notes"] == []


def test_a_dicom_directory_comes_out_as_a_derived_series(
    cli: Any, make_series: Any, contents: Any
) -> None:
    series = make_series()
    before = contents(series)
    output = series.with_name("out")
    output.mkdir()  # an empty directory is a good place
    said = cli("denoise", f"{series}/", f"{output}/", "--method", "median")
    assert said.status == 0, said.err
    written = [pydicom.dcmread(path) for path in sorted(output.iterdir())]
    assert len(written) == 4
    assert {ds.ImageType[0] for ds in written} == {"DERIVED"}
    assert {ds.SeriesInstanceUID for ds in written}.isdisjoint({"1.2.3"})
    assert contents(series) == before


def test_one_file_of_a_series_stands_for_the_series(cli: Any, make_series: Any) -> None:
    series = make_series()
    said = cli("denoise", series / "5-1.dcm", series.with_name("out"), "--method", "identity")
    assert said.status == 0, said.err
    assert len(list(series.with_name("out").iterdir())) == 4


def test_another_format_by_the_extension(cli: Any, make_series: Any) -> None:
    series = make_series()
    output = series.with_name("out.nii.gz")
    assert cli("denoise", series, output, "--method", "identity").status == 0
    assert values(output).shape == (20, 16, 4)


def test_voxels_that_are_not_finite_are_masked_restored_and_said(
    cli: Any, make_scan: Any, models: dict[int, Path]
) -> None:
    array = values(make_scan("plain.nii.gz")).copy()
    array[3:5, 4, 4], array[9, 9, 9] = np.nan, np.inf
    holed = make_scan("holed.nii.gz", array)
    for option in (("--method", "median"), ("--model", models[3])):
        output = holed.with_name(f"{option[0]}.nii.gz")
        said = cli("denoise", holed, output, *option)
        assert said.status == 0
        assert "3 voxels are not finite or padding: kept as they were" in said.out
        hole = ~np.isfinite(array)
        np.testing.assert_array_equal(values(output)[hole], array[hole])
        assert np.isfinite(values(output)[~hole]).all()


def test_a_scan_of_another_kind_than_the_model_s_is_said(
    cli: Any, make_series: Any, models: dict[int, Path], tmp_path: Path
) -> None:

    denoiser = md.Denoiser.load(models[3], device="cpu")
    denoiser.info["data"] = {"modality": "CT", "units": "HU"}
    model = denoiser.save(tmp_path / "ct.safetensors")
    said = cli("denoise", make_series(), tmp_path / "out", "--model", model)
    assert said.status == 0
    assert "modality is CT, and this one's is MR" in said.out


def test_how_the_result_is_written_can_be_said(cli: Any, scan: Path, shared_data: Path) -> None:

    floats = scan.parent / "floats.nii.gz"
    assert cli("denoise", scan, floats, "--method", "gaussian", "--dtype", "float32").status == 0
    assert nib.load(floats).get_data_dtype() == np.float32
    said = cli("denoise", scan, scan.parent / "x.nii.gz", "--method", "median", "--compress", "rle")
    assert said.status == 2
    assert "DICOM" in said.sentence

    tilted, out = shared_data / "dicom/ct_tilt_philips", scan.parent / "tilted"
    options = ["--compress", "rle", "--deterministic-uids", "--keep-private"]
    assert cli("denoise", tilted, out, "--method", "identity", *options).status == 0
    first = pydicom.dcmread(sorted(out.iterdir())[0])
    assert first.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
    refused = cli("denoise", tilted, scan.parent / "tilted.nii.gz", "--method", "identity")
    assert refused.status == 2
    assert "--allow-irregular" in refused.sentence or "allow_irregular" in refused.sentence
    more = ["--method", "identity", "--allow-irregular"]
    assert cli("denoise", tilted, scan.parent / "tilted.nii.gz", *more).status == 0
