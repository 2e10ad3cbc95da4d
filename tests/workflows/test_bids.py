from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest

from meddenoise._version import __version__
from meddenoise.errors import FileError, OutputError, ParameterError
from meddenoise.workflows.bids import denoise_bids


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def names(directory: Path) -> list[str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return sorted(path.relative_to(directory).as_posix() for path in files)


def test_a_derivative_dataset(bids: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in bids.rglob("*") if path.is_file()}
    out = tmp_path / "a b/out"
    outcomes = denoise_bids(bids, out, method="identity")
    assert {path: path.read_bytes() for path in bids.rglob("*") if path.is_file()} == before
    assert names(out) == [
        ".bidsignore",
        "dataset_description.json",
        "sub-01/anat/sub-01_desc-denoised_T1w.json",
        "sub-01/anat/sub-01_desc-denoised_T1w.nii.gz",
        "sub-01/dwi/sub-01_desc-denoised_dwi.bval",
        "sub-01/dwi/sub-01_desc-denoised_dwi.bvec",
        "sub-01/dwi/sub-01_desc-denoised_dwi.json",
        "sub-01/dwi/sub-01_desc-denoised_dwi.nii.gz",
        "sub-01/func/sub-01_task-rest_part-mag_desc-denoised_bold.json",
        "sub-01/func/sub-01_task-rest_part-mag_desc-denoised_bold.nii.gz",
        "sub-01/perf/sub-01_desc-denoised_m0scan.json",
        "sub-01/perf/sub-01_desc-denoised_m0scan.nii",
        "sub-02/ses-a/anat/sub-02_ses-a_desc-denoised_T1w.json",
        "sub-02/ses-a/anat/sub-02_ses-a_desc-denoised_T1w.nii.gz",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.bval",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.bvec",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.json",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.nii.gz",
        "sub-02/ses-a/func/sub-02_ses-a_task-rest_part-mag_desc-denoised_bold.json",
        "sub-02/ses-a/func/sub-02_ses-a_task-rest_part-mag_desc-denoised_bold.nii.gz",
    ]
    done = [outcome for outcome in outcomes if outcome.output]
    passed = [outcome for outcome in outcomes if not outcome.output]
    assert len(done) == 7
    assert all(outcome.error is None for outcome in outcomes)
    assert all(outcome.notes[0].startswith("Passed over: ") for outcome in passed)
    for outcome in done:
        one, other = nib.load(outcome.input), nib.load(str(outcome.output))
        np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
    bvec = (out / "sub-01/dwi/sub-01_desc-denoised_dwi.bvec").read_bytes()
    assert bvec == before[bids / "dwi.bvec"]


@pytest.mark.parametrize("inherited", [False, True])
def test_what_the_volumes_of_asl_are_goes_along(
    bids: Path, tmp_path: Path, inherited: bool
) -> None:
    perf = bids / "sub-01/perf"
    voxels = np.arange(128, dtype=np.float32).reshape(4, 4, 4, 2)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), perf / "sub-01_asl.nii.gz")
    place = bids / "aslcontext.tsv" if inherited else perf / "sub-01_aslcontext.tsv"
    place.write_text("volume_type\nlabel\ncontrol\n")
    out = tmp_path / "out"
    outcomes = denoise_bids(bids, out, participants=["01"], method="identity")
    there = out / "sub-01/perf/sub-01_desc-denoised_aslcontext.tsv"
    assert there.read_bytes() == place.read_bytes()
    assert [path.name for path in out.rglob("*aslcontext*")] == [there.name]
    notes = [note for outcome in outcomes for note in outcome.notes if "aslcontext" in note]
    assert len(notes) == 1
    assert "*_aslcontext.tsv" in (out / ".bidsignore").read_text().splitlines()


def test_what_the_sidecars_say(bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    denoise_bids(bids, out, method="median")
    said = f"Denoised by meddenoise {__version__} with median"
    text = (out / "sub-02/ses-a/anat/sub-02_ses-a_desc-denoised_T1w.json").read_text("utf-8")
    assert json.loads(text) == {
        "EchoTime": 0.004,
        "Manufacturer": "None",
        "Site": "Köln",
        "Description": said,
        "Sources": ["bids:raw:sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz"],
        "SkullStripped": False,
    }
    assert "Köln" in text
    bold = load(out / "sub-01/func/sub-01_task-rest_part-mag_desc-denoised_bold.json")
    assert (bold["TaskName"], bold["RepetitionTime"], bold["SkullStripped"]) == ("rest", 2, False)
    m0scan = load(out / "sub-01/perf/sub-01_desc-denoised_m0scan.json")
    assert m0scan["IntendedFor"] == ["bids:raw:sub-01/perf/sub-01_asl.nii.gz"]


def test_what_was_asked_is_said(bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = {"options": {"sigma": 0.5}, "strength": 0.5}
    denoise_bids(bids, out, method="gaussian", participants=["01"], **asked)
    told = load(out / "dataset_description.json")["GeneratedBy"][0]["Description"]
    assert told == "Denoised with gaussian, sigma 0.5, strength 0.5"
    image = load(out / "sub-01/anat/sub-01_desc-denoised_T1w.json")["Description"]
    assert image.endswith("with gaussian, sigma 0.5, strength 0.5")


def test_what_the_raw_sidecar_knows_better(bids: Path, tmp_path: Path) -> None:
    (bids / "sub-01/anat/sub-01_T1w.json").write_text(
        '{"SkullStripped": true, "Sources": ["old"], "IntendedFor": "bids::sub-01/x", "Deep": [1]}'
    )
    denoise_bids(bids, tmp_path / "out", method="median", participants=["01"])
    told = load(tmp_path / "out/sub-01/anat/sub-01_desc-denoised_T1w.json")
    assert told["SkullStripped"] is True
    assert told["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    assert (told["IntendedFor"], told["Deep"]) == ("bids:raw:sub-01/x", [1])


def test_the_description_and_its_links(bids: Path, tmp_path: Path) -> None:
    raw = bids.rename(tmp_path / "raw data")
    description = load(raw / "dataset_description.json")
    description["DatasetDOI"] = "doi:10.0000/tiny"
    (raw / "dataset_description.json").write_text(json.dumps(description))
    for out in (tmp_path / "deep/out", raw / "derivatives/meddenoise"):
        denoise_bids(raw, out, method="median", participants=["01"])
        told = load(out / "dataset_description.json")
        link = told["DatasetLinks"]["raw"]
        assert " " not in link
        image = load(out / "sub-01/anat/sub-01_desc-denoised_T1w.json")["Sources"][0]
        source = out / unquote(link) / unquote(image.removeprefix("bids:raw:"))
        assert source.resolve() == (raw / "sub-01/anat/sub-01_T1w.nii.gz").resolve()
        assert told == {
            "Name": "Tiny, denoised",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [
                {
                    "Name": "meddenoise",
                    "Version": __version__,
                    "Description": "Denoised with median",
                }
            ],
            "SourceDatasets": [{"URL": link, "DOI": "doi:10.0000/tiny"}],
            "DatasetLinks": {"raw": link},
        }


def test_participant_by_participant_and_way_by_way(bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    denoise_bids(bids, out, method="median", participants=["01"])
    first = (out / "dataset_description.json").read_bytes()
    denoise_bids(bids, out, method="median", participants=["sub-02"])
    assert (out / "dataset_description.json").read_bytes() == first
    again = denoise_bids(bids, out, method="gaussian")
    assert all("is there already" in outcome.notes[0] for outcome in again[:7])
    assert (out / "dataset_description.json").read_bytes() == first  # nothing was made by it
    denoise_bids(bids, out, method="gaussian", overwrite=True)
    ways = [way["Description"] for way in load(out / "dataset_description.json")["GeneratedBy"]]
    assert ways == ["Denoised with median", "Denoised with gaussian"]


def test_one_that_fails_does_not_stop_the_others(bids: Path, tmp_path: Path) -> None:
    damaged = bids / "sub-01/anat/sub-01_T1w.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:200])
    (bids / "sub-01/perf/sub-01_m0scan.json").write_text("{")
    out = tmp_path / "out"
    outcomes = denoise_bids(bids, out, method="median")
    errors = [outcome.error for outcome in outcomes if outcome.error]
    assert len(errors) == 2
    assert "sub-01_T1w.nii.gz" in errors[0]
    assert "sub-01_m0scan.json is damaged" in errors[1]
    assert not [name for name in names(out) if "sub-01_desc-denoised_T1w" in name]
    assert not [name for name in names(out) if "m0scan" in name]
    assert len([name for name in names(out) if name.endswith(".nii.gz")]) == 5


def test_where_nothing_could_be_done_no_dataset_is_left(bids: Path, tmp_path: Path) -> None:
    for path in bids.rglob("*.nii*"):
        path.write_bytes(b"")
    outcomes = denoise_bids(bids, tmp_path / "out", method="median")
    assert sum(outcome.error is not None for outcome in outcomes) == 7
    assert names(tmp_path / "out") == []


def test_an_existing_sidecar_is_kept(bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    denoise_bids(bids, out, method="median", participants=["02"])
    precious = out / "sub-01/dwi/sub-01_desc-denoised_dwi.bval"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    outcomes = denoise_bids(bids, out, method="median", participants=["01"])
    (error,) = [outcome.error for outcome in outcomes if outcome.error]
    assert "sub-01_desc-denoised_dwi.bval exists" in error
    assert precious.read_text() == "mine"
    assert names(precious.parent) == [precious.name]


def test_places_that_are_no_derivative_s(bids: Path, tmp_path: Path) -> None:
    def refused(out: Path, told: str) -> None:
        with pytest.raises(OutputError, match=told):
            denoise_bids(bids, out, method="median", overwrite=True)

    before = names(tmp_path)
    for inside in (bids, bids / "out", bids / "sub-01", bids / "derivatives", bids / "x/../y"):
        refused(inside, "lies in the raw dataset")
    refused(bids / "dataset_description.json", "is a file")
    assert names(tmp_path) == before
    other = shutil.copytree(bids, tmp_path / "other")
    refused(other, "did not make")
    (other / "dataset_description.json").write_text(
        '{"Name": "x", "BIDSVersion": "1", "DatasetType": "derivative", "GeneratedBy": 5}'
    )
    refused(other, "did not make")
    (other / "dataset_description.json").unlink()
    refused(other, "no dataset_description")
    denoise_bids(bids, tmp_path / "out", method="median", participants=["01"])
    bids.rename(tmp_path / "moved")
    with pytest.raises(OutputError, match="from another raw dataset"):
        denoise_bids(tmp_path / "moved", tmp_path / "out", method="median")


def test_inputs_that_are_no_raw_dataset(bids: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileError, match="is no BIDS dataset"):
        denoise_bids(bids / "sub-01", out, method="median")
    with pytest.raises(ParameterError, match="no participant 7"):
        denoise_bids(bids, out, method="median", participants=["7"])
    with pytest.raises(ParameterError, match="not both"):
        denoise_bids(bids, out, method="median", model="model.safetensors")
    description = {"Name": "x", "BIDSVersion": "1.8.0", "DatasetType": "derivative"}
    (bids / "dataset_description.json").write_text(json.dumps(description))
    with pytest.raises(FileError, match="is a derivative dataset"):
        denoise_bids(bids, out, method="median")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "dataset_description.json").write_text("{}")
    with pytest.raises(FileError, match="no image to denoise"):
        denoise_bids(empty, out, method="median")
    assert not out.exists()


def test_the_official_validator_finds_no_error(bids: Path, tmp_path: Path) -> None:
    validator = shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("no bids-validator-deno on the path (pip install bids-validator-deno)")
    denoise_bids(bids, tmp_path / "out", method="median")
    asked = subprocess.run(
        [validator, str(tmp_path / "out"), "--format", "json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    issues = json.loads(asked.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
