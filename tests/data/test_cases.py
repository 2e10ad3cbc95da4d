from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from meddenoise.data import find_cases
from meddenoise.errors import ConfigError, FileError
from meddenoise.io import write
from meddenoise.volume import Volume


def scan(path: Path, seed: int = 0) -> str:
    array = np.random.default_rng(seed).normal(size=(4, 5, 6)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(Volume.from_array(array), path)
    return str(path)


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    for subject in ("01", "02"):
        for session in ("1", "2"):
            name = f"sub-{subject}_ses-{session}_T1w.nii.gz"
            scan(tmp_path / f"sub-{subject}" / f"ses-{session}" / "anat" / name)
    return tmp_path


def test_a_file_is_one_case(tmp_path: Path) -> None:
    (case,) = find_cases(scan(tmp_path / "a b.nii.gz", seed=3))
    assert case.name == "a_b"
    assert case.where == str(tmp_path / "a b.nii.gz")
    assert case.read_image().shape == (4, 5, 6)
    assert case.read_target() is None
    assert not case.is_sample


def test_a_directory_a_glob_and_a_list(tmp_path: Path) -> None:
    paths = [scan(tmp_path / name) for name in ("a.nii", "b.mha", "c.nrrd")]
    (tmp_path / "notes.txt").write_text("no scan")
    assert [c.where for c in find_cases(str(tmp_path))] == paths
    assert [c.where for c in find_cases(str(tmp_path / "[ab].*"))] == paths[:2]
    assert [c.where for c in find_cases([paths[2], paths[0]])] == [paths[2], paths[0]]


def test_names_are_unique_and_safe(tmp_path: Path) -> None:
    paths = [scan(tmp_path / d / "T1 (raw).nii.gz") for d in ("p", "q")]
    names = [case.name for case in find_cases(paths)]
    assert len(set(names)) == 2
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzT1_-2.") for name in names)


def test_bids_subjects(bids: Path) -> None:
    assert [case.subject for case in find_cases(str(bids))] == ["sub-01"] * 2 + ["sub-02"] * 2
    listed = [str(bids / "sub-02"), str(bids / "sub-01" / "ses-1")]
    assert [case.subject for case in find_cases(listed)] == ["sub-02"] * 2 + ["sub-01"]
    assert {case.subject for case in find_cases(str(bids / "**" / "*.nii.gz"))} == {
        "sub-01",
        "sub-02",
    }


def test_the_directory_of_a_patient_is_the_subject(tmp_path: Path) -> None:
    for name in ("ann/t1.nii", "ann/t2.nii", "bob/x/t1.nii"):
        scan(tmp_path / name)
    one, two, three = (case.subject for case in find_cases(str(tmp_path)))
    assert one == two != three


def test_files_side_by_side_are_subjects_of_their_own(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii"):
        scan(tmp_path / name)
    one, two = find_cases(str(tmp_path))
    assert one.subject != two.subject


def test_equal_directory_names_of_two_sites_are_two_subjects(tmp_path: Path) -> None:
    sites = [tmp_path / "site1", tmp_path / "site2"]
    for site in sites:
        scan(site / "p1" / "t1.nii")
    one, two = find_cases([str(site) for site in sites])
    assert one.subject != two.subject


def test_a_name_that_only_begins_with_sub_is_no_bids_subject(tmp_path: Path) -> None:
    for name in ("ann/t1.nii", "bob/t1.nii"):
        scan(tmp_path / "sub-sampled_data" / name)
    one, two = find_cases(str(tmp_path / "sub-sampled_data"))
    assert one.subject != two.subject


def test_targets_in_the_same_order(tmp_path: Path) -> None:
    for k in range(2):
        scan(tmp_path / "noisy" / f"{k}.nii", seed=k)
        scan(tmp_path / "clean" / f"{k}.nii", seed=10 + k)
    cases = find_cases(str(tmp_path / "noisy"), str(tmp_path / "clean"))
    for k, case in enumerate(cases):
        assert case.partner == str(tmp_path / "clean" / f"{k}.nii")
        target = case.read_target()
        assert target is not None
        expected = np.random.default_rng(10 + k).normal(size=(4, 5, 6)).astype(np.float32)
        assert np.array_equal(target.array[0], expected)


def test_another_number_of_targets(tmp_path: Path) -> None:
    a, b = scan(tmp_path / "a.nii"), scan(tmp_path / "b.nii")
    with pytest.raises(ConfigError, match=r"names 2 scans and data\.targets 1"):
        find_cases([a, b], a)


def test_samples_are_cases_of_as_many_subjects() -> None:
    cases = find_cases("sample:head-noisy:3")
    assert [case.name for case in cases] == ["head-noisy-0", "head-noisy-1", "head-noisy-2"]
    assert len({case.subject for case in cases}) == 3
    assert all(case.is_sample for case in cases)
    assert cases[1].where == "sample:head-noisy #1"


def test_a_sample_and_its_noisy_twin_are_one_subject() -> None:
    clean, noisy = find_cases(["sample:head", "sample:head-noisy"])
    assert clean.subject == noisy.subject


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sample:haed", "did you mean 'head'"),
        ("sample:head:0", "COUNT at least 1"),
        ("sample:head:x", "is no sample"),
        ("sample:", "is no sample"),
        ("", "at least one scan"),
        ([" "], "empty"),
        ([], "at least one scan"),
    ],
)
def test_what_names_no_scan(source: str | list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_cases(source)


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        find_cases(str(tmp_path / "none.nii"))
    with pytest.raises(FileError, match="nothing matches"):
        find_cases(str(tmp_path / "*.nii"))
    with pytest.raises(ConfigError, match="no scan in"):
        find_cases(str(tmp_path))


def test_a_series_of_a_directory_without_dicom(tmp_path: Path) -> None:
    scan(tmp_path / "a.nii")
    with pytest.raises(ConfigError, match="holds no DICOM series"):
        find_cases(str(tmp_path), series="T1")


def test_a_dicom_directory_is_one_case(shared_data: Path) -> None:
    place = shared_data / "dicom" / "mr_t1_siemens"
    (case,) = find_cases(str(place))
    assert case.read_image().dims == 3


def dicom(place: Path, patient: str, series: int) -> None:
    """A series of two slices of a patient."""
    place.mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = Dataset()
        ds.file_meta = meta
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = MRImageStorage, generate_uid(), "MR"
        ds.SeriesInstanceUID, ds.SeriesNumber = f"1.2.{series}", series
        ds.PatientID, ds.InstanceNumber = patient, number
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, number]
        ds.PixelSpacing, ds.SamplesPerPixel, ds.PhotometricInterpretation = [1, 1], 1, "MONOCHROME2"
        ds.Rows = ds.Columns = 4
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.PixelData = bytes(32)
        dcmwrite(place / f"{series}-{number}.dcm", ds, enforce_file_format=True)


def test_dicom_tells_patients_whatever_the_directories(tmp_path: Path) -> None:
    for place, patient, series in (("a", "ann", 1), ("b", "bob", 2), ("c", "ann", 3)):
        dicom(tmp_path / "apart" / place, patient, series)
        dicom(tmp_path / "together", patient, series)
    for place in ("apart", "together"):
        cases = find_cases(str(tmp_path / place))
        ann, bob, again = (case.subject for case in cases)
        assert ann == again != bob
        assert "ann" not in repr(cases) + ann


def test_one_number_for_all_patients_tells_nothing(tmp_path: Path) -> None:
    for series, place in enumerate("ab"):
        dicom(tmp_path / place, "anonymous", series)
    one, two = (case.subject for case in find_cases(str(tmp_path)))
    assert one != two


def test_targets_of_the_same_names_in_another_order(tmp_path: Path) -> None:
    images = [scan(tmp_path / "noisy" / name) for name in ("a.nii.gz", "b.nii", "c.nii.gz")]
    targets = [scan(tmp_path / "clean" / name) for name in ("c.mha", "a.nii.gz", "b.nii.gz")]
    cases = find_cases(images, targets)
    assert [Path(case.partner).name for case in cases] == ["a.nii.gz", "b.nii.gz", "c.mha"]


def test_names_and_order_at_odds(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        scan(tmp_path / "noisy" / f"{name}.nii")
    for name in ("b", "c", "d"):
        scan(tmp_path / "clean" / f"{name}.nii")
    with pytest.raises(ConfigError, match=r"\bb of data.images would get c of data.targets"):
        find_cases(str(tmp_path / "noisy"), str(tmp_path / "clean"))


def test_units_that_headers_do_not_say(tmp_path: Path) -> None:
    paths = [scan(tmp_path / "a.nii.gz"), scan(tmp_path / "b.nii.gz")]
    (case,) = find_cases(paths[0], paths[1], units="HU")
    target = case.read_target()
    assert target is not None
    assert (case.read_image().units, target.units) == ("HU", "HU")
    (case,) = find_cases("sample:head", units="HU")
    with pytest.raises(ConfigError, match=r"data\.units does not fit sample:head.*it is MR"):
        case.read_image()


@pytest.mark.parametrize(
    "names",
    [
        ("p/a.nii", "q/a.nii", "r/a-2.nii"),
        ("p/a-2.nii", "q/a.nii", "r/a.nii"),
        ("p/a.b1.nii", "q/a_b1.nii", "r/a.nii"),  # DICOM series are written without dots
    ],
)
def test_no_number_makes_a_name_that_another_scan_has(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    cases = find_cases([scan(tmp_path / name) for name in names])
    assert len({case.name.replace(".", "_") for case in cases}) == 3
    assert [case.where for case in cases] == [str(tmp_path / name) for name in names]


def test_a_missing_partner_does_not_shift_the_others(tmp_path: Path) -> None:
    images = [scan(tmp_path / "low" / f"low_{k}.nii") for k in (1, 2, 4, 5)]
    targets = [scan(tmp_path / "full" / f"full_{k:02}.nii") for k in (1, 2, 3, 4)]
    with pytest.raises(ConfigError, match=r"low_4 of data.images would get full_03 .*full_04"):
        find_cases(str(tmp_path / "low"), str(tmp_path / "full"))
    # Whoever lists both sides file by file has said what belongs together.
    assert [case.partner for case in find_cases(images, targets)] == targets


def test_numbers_that_tell_nothing_leave_the_order(tmp_path: Path) -> None:
    scans = {
        side: [str(scan(tmp_path / side / name)) for name in names]
        for side, names in {
            "first": ("dwi_0.nii", "dwi_2.nii"),
            "second": ("dwi_1.nii", "dwi_3.nii"),
            "alike": ("T1_a.nii", "T1_b.nii"),
            "none": ("x.nii", "y1.nii"),
        }.items()
    }
    for one, other in (("first", "second"), ("alike", "second"), ("alike", "none")):
        cases = find_cases(str(tmp_path / one), str(tmp_path / other))
        assert [case.partner for case in cases] == scans[other]
