from __future__ import annotations

import json
from pathlib import Path

import pytest

from meddenoise.errors import FileError, ParameterError
from meddenoise.io.bids import (
    BidsName,
    find_images,
    gradients_of,
    metadata_of,
    read_description,
)


def put(path: Path, content: str | dict[str, object] = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "derived"),
    [
        ("sub-01_T1w.nii.gz", "sub-01_desc-denoised_T1w.nii.gz"),
        (
            "sub-01_ses-a_task-rest_acq-x_dir-AP_run-02_echo-1_part-mag_chunk-3_bold.nii",
            "sub-01_ses-a_task-rest_acq-x_dir-AP_run-02_echo-1_part-mag_chunk-3_desc-denoised_bold.nii",
        ),
    ],
)
def test_desc_is_the_last_entity(name: str, derived: str) -> None:
    parsed = BidsName.parse(name)
    assert parsed is not None
    assert parsed.described("denoised") == derived


@pytest.mark.parametrize(
    "name",
    ["sub-01_.nii", "sub-01_sub-02_T1w.nii", "sub01_T1w.nii", "sub-01_T1-w.nii", "sub-ä_T1w"],
)
def test_names_that_are_none(name: str) -> None:
    assert BidsName.parse(name) is None


def test_suffix_alone_is_a_name() -> None:
    parsed = BidsName.parse("T1w.json")
    assert parsed == BidsName({}, "T1w", ".json")


def test_which_images_there_are(bids: Path) -> None:
    found = {image.relative.as_posix(): image.passed for image in find_images(bids)}
    chosen = [name for name, passed in found.items() if not passed]
    assert chosen == [
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/dwi/sub-01_dwi.nii.gz",
        "sub-01/func/sub-01_task-rest_part-mag_bold.nii.gz",
        "sub-01/perf/sub-01_m0scan.nii",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
        "sub-02/ses-a/dwi/sub-02_ses-a_dwi.nii.gz",
        "sub-02/ses-a/func/sub-02_ses-a_task-rest_part-mag_bold.nii.gz",
    ]
    assert not any(name.startswith(("derivatives", "sourcedata")) for name in found)
    for part, reason in {
        "desc-defaced_T1w": "desc- already",
        "T1map": "no image of intensities",
        "part-phase": "it is a phase",
        "dir-AP_epi": "fmap is left as it is",
    }.items():
        (said,) = {passed for name, passed in found.items() if part in name}
        assert reason in said


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("sub-01/anat/scan 1.nii.gz", "none of BIDS"),
        ("sub-01/anat/T1w.nii.gz", "none of BIDS"),
        ("sub-01/anat/sub-02_T1w.nii.gz", "different participants"),
        ("sub-02/ses-a/anat/sub-02_T1w.nii.gz", "different participants or sessions"),
        ("sub-01/anat/sub-01_bold.nii.gz", "anat of kind bold"),
        ("sub-01/mrs/sub-01_svs.nii.gz", "mrs is left"),
        ("sub-01/anat/sub-01_part-imag_T2w.nii", "imaginary part"),
    ],
)
def test_names_in_the_wrong_place(bids: Path, place: str, reason: str) -> None:
    put(bids / place)
    (image,) = [image for image in find_images(bids) if image.relative == Path(place)]
    assert reason in image.passed


def test_participants(bids: Path) -> None:
    def subjects(*labels: str) -> set[str]:
        return {image.relative.parts[0] for image in find_images(bids, labels)}

    assert subjects("01") == subjects("sub-01") == {"sub-01"}
    assert subjects("01", "sub-02", "02") == subjects() == {"sub-01", "sub-02"}
    with pytest.raises(ParameterError, match=r"no participant 03 in .*: it has 01, 02\."):
        subjects("01", "sub-03")


def test_metadata_is_inherited_from_the_root_down(bids: Path) -> None:
    put(bids / "sub-01/sub-01_task-rest_bold.json", {"EchoTime": 0.02, "Coil": "a"})
    put(bids / "sub-01/func/sub-01_task-rest_part-mag_bold.json", {"Coil": "b"})
    put(bids / "sub-01/func/sub-01_task-nback_bold.json", {"Coil": "never"})
    put(bids / "sub-01/func/sub-01_task-rest_run-1_bold.json", {"Coil": "never"})
    (image,) = [i for i in find_images(bids, ["01"]) if i.name.suffix == "bold" and not i.passed]
    assert metadata_of(image) == {
        "TaskName": "rest",
        "RepetitionTime": 2,
        "EchoTime": 0.02,
        "Coil": "b",
    }


def test_of_gradients_the_nearest_count(bids: Path) -> None:
    put(bids / "sub-02/ses-a/dwi/sub-02_ses-a_dwi.bval", "0 5 5")
    one, other = [image for image in find_images(bids) if image.name.suffix == "dwi"]
    bvec = (bids / "dwi.bvec").read_bytes()
    assert gradients_of(one) == {".bval": b"0 1000 1000\n", ".bvec": bvec}
    assert gradients_of(other) == {".bval": b"0 5 5", ".bvec": bvec}
    image = next(image for image in find_images(bids) if image.name.suffix == "T1w")
    assert gradients_of(image) == {}


@pytest.mark.parametrize("content", ["{", "[1]", "\xff\xfe", "[" * 100_000])
def test_a_damaged_sidecar_is_named(bids: Path, content: str) -> None:
    (bids / "T1w.json").write_bytes(content.encode("latin-1"))
    image = next(image for image in find_images(bids) if image.name.suffix == "T1w")
    with pytest.raises(FileError, match=r"T1w\.json is damaged"):
        metadata_of(image)


def test_a_dataset_has_a_description(bids: Path, tmp_path: Path) -> None:
    assert read_description(bids)["Name"] == "Tiny"
    (bids / "dataset_description.json").write_bytes(b'\xef\xbb\xbf{"Name": "with a mark"}')
    assert read_description(bids)["Name"] == "with a mark"
    with pytest.raises(FileError, match=r"no dataset_description\.json"):
        read_description(tmp_path)
