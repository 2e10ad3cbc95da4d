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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--method", "median", "--set", "sise=5"], "sise is no key here (did you mean 'size'?)"),
        (["--method", "median", "--set", "size=big"], "size must be a whole number"),
        (["--method", "median", "--set", "size=2"], "size is 2"),
        (["--method", "median", "--set", "size"], "'size' is no override"),
        (["--method", "medain"], "did you mean 'median'?"),
        (["--method", "bilateral", "--sigma", "-1"], "level"),
        (["--method", "bilateral", "--sigma", "much"], "'much' is no noise level"),
        (["--method", "mppca"], "4-D"),
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


def test_several_scans_need_a_directory(cli: Any, make_scan: Any, tmp_path: Path) -> None:
    make_scan("in/a.nii.gz")
    make_scan("in/b.nii.gz")
    said = cli("denoise", tmp_path / "in", tmp_path / "out.nii.gz", "--method", "median")
    assert said.status == 2
    assert "holds 2 scans" in said.sentence


def test_a_scan_of_another_kind_than_the_model_s_is_said(
    cli: Any, make_series: Any, models: dict[int, Path], tmp_path: Path
) -> None:
    import meddenoise as md

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


SIDECARS = {"json": b'{"RepetitionTime": 2}\r\n', "bval": b"0 1000", "bvec": b"0 1\n0 0\n0 0\n"}


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
