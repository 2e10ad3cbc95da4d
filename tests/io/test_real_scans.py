"""Real scans go through unharmed: read, written, read again, and seen by other libraries."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from meddenoise import io
from meddenoise.errors import FileError, GeometryError
from meddenoise.io.orientation import back_on_grid
from meddenoise.volume import Volume

NIFTI = [
    "mri/colin27_t1.nii.gz", "mri/cit168_t1.nii.gz", "mri/seg3d_t1.nii.gz", "mri/t2.nii.gz",
    "mri/ms_raw/study1_FLAIR.nii.gz", "pairs/dti_2x11.nii.gz", "ct/abdomen_3mm.nii.gz",
]  # fmt: skip
DICOM = [
    "dicom/mr_t1_siemens", "dicom/ct_abdomen_j2k", "dicom/ct_pelvis_soft", "dicom/pet",
    "dicom/ct_tilt_variable_ge", "dicom/ct_tilt_philips", "dicom/mixed/volume", "dicom/fragments",
    "dicom/enhanced/Siemens/XA10", "dicom/enhanced/Philips", "dicom/mixed/explicit_little.dcm",
    "dicom/mixed/jpeg_baseline_8bit.dcm", "dicom/mixed/explicit_big.dcm", "dicom/mixed/rle.dcm",
]  # fmt: skip


def subset(place: Path, tmp_path: Path, most: int = 16) -> Path:
    """A dozen or so neighbouring slices of a long series are enough."""
    if place.is_file() or len(list(place.iterdir())) <= most:
        return place
    scan = io.list_scans(place)[0]
    slices = io.read(scan.path, series=scan.series).source.files[:most]
    target = tmp_path / "subset"
    target.mkdir()
    for path in slices:
        shutil.copy(path, target)
    return target


@pytest.mark.parametrize("name", NIFTI)
def test_nifti_comes_back_byte_by_byte(shared_data: Path, tmp_path: Path, name: str) -> None:
    volume = io.read(shared_data / name)
    io.write(volume, tmp_path / "out.nii")
    content = gzip.decompress((shared_data / name).read_bytes())
    assert (tmp_path / "out.nii").read_bytes() == content


def test_nrrd_comes_back_with_its_header(shared_data: Path, tmp_path: Path) -> None:
    for path in sorted((shared_data / "nrrd").glob("*.nrrd")):
        volume = io.read(path)
        out = io.write(volume, tmp_path / path.name)
        assert out.read_bytes().split(b"\n\n")[0] == path.read_bytes().split(b"\n\n")[0]
        before, after = sitk.ReadImage(str(path)), sitk.ReadImage(str(out))
        stored = sitk.GetArrayFromImage(before)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after), stored)
        np.testing.assert_array_equal(volume.array[0].T, stored)
        assert after.GetDirection() == before.GetDirection()
        assert after.GetOrigin() == before.GetOrigin()


@pytest.mark.parametrize("name", DICOM)
def test_a_series_comes_back_with_its_pixels(shared_data: Path, tmp_path: Path, name: str) -> None:
    volume = io.read(subset(shared_data / name, tmp_path))
    report = io.write_report(volume, tmp_path / "out")
    again = io.read(tmp_path / "out")
    assert report.clipped == 0
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_array_equal(again.affine, volume.affine)
    if volume.padding is not None:
        np.testing.assert_array_equal(again.padding, volume.padding)
    assert (again.units, again.modality) == (volume.units, volume.modality)
    assert again.source.irregular == volume.source.irregular


@pytest.mark.parametrize("name", ["ct_tilt_variable_ge", "ct_tilt_philips"])
def test_tilted_series_stay_dicom(shared_data: Path, tmp_path: Path, name: str) -> None:
    volume = io.read(shared_data / "dicom" / name)
    assert any("18.5 degrees (gantry tilt)" in reason for reason in volume.source.irregular)
    with pytest.raises(GeometryError, match="gantry tilt"):
        io.write(volume, tmp_path / "out.nii.gz")


def test_pixels_agree_with_pydicom_in_every_lossless_syntax(shared_data: Path) -> None:
    place = shared_data / "dicom" / "ct_15_syntaxes"
    plain = next(place.glob("*LittleEndianExplicit*"))
    ds = pydicom.dcmread(plain)
    expected = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    lossless = ("1.2", "1.2.1", "1.2.1.99", "1.2.2", "1.2.4.57", "1.2.4.70", "1.2.4.80",
                "1.2.4.90", "1.2.5")  # fmt: skip
    for end in lossless:
        (path,) = place.glob(f"*_1.2.840.10008.{end}.dcm")
        np.testing.assert_array_equal(io.read(path).array[0, ..., 0].T, expected)
    for end in ("4.53", "4.55"):
        (path,) = place.glob(f"*{end}.dcm")
        with pytest.raises(FileError, match=f"{end}.*cannot be decoded"):
            io.read(path)


def test_masked_bits_agree_with_clean_ones(shared_data: Path) -> None:
    place = shared_data / "dicom" / "bits12"
    clean = io.read(place / "12bitUnsigned.dcm").array
    assert clean.max() < 4096
    np.testing.assert_array_equal(io.read(place / "12bitUnsigned_0x0F0F.dcm").array.shape,
                                  clean.shape)  # fmt: skip
    assert io.read(place / "12bitSigned_0x0F0F.dcm").array.min() >= -2048


def test_other_libraries_see_the_derived_series_where_the_source_is(
    shared_data: Path, tmp_path: Path
) -> None:
    place = shared_data / "dicom" / "mr_t1_siemens"
    volume = io.read(place)
    assert volume.shape == (256, 256, 192)
    io.write(volume, tmp_path / "out")
    images = []
    for directory in (place, tmp_path / "out"):
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(directory))
        assert len(files) == 192
        images.append(sitk.ReadImage(files))
    before, after = images
    for image in images:
        last = [n - 1 for n in image.GetSize()]
        point = np.array(image.TransformIndexToPhysicalPoint(last)) * [-1, -1, 1]
        np.testing.assert_allclose(point, (volume.affine @ [*last, 1])[:3], atol=1e-3)
    assert after.GetSpacing() == before.GetSpacing()
    stored = sitk.GetArrayViewFromImage(after)
    np.testing.assert_array_equal(stored, sitk.GetArrayViewFromImage(before))
    np.testing.assert_array_equal(volume.array[0].T, stored)


def dcm2niix(directory: Path, out: Path) -> tuple[Volume, dict[str, Any]]:
    """What dcm2niix makes of a series: the volume and the sidecar."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("dcm2niix", path=beside) or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    out.mkdir()
    command = [program, "-b", "y", "-z", "n", "-f", "x", "-o", str(out), str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    (image,) = out.glob("*.nii")
    sidecar = next(out.glob("*.json")).read_text().replace('\\",', '",')  # it forgets to escape
    return io.read(image), json.loads(sidecar, strict=False)


@pytest.mark.parametrize("name", ["mr_t1_siemens", "ct_abdomen_j2k"])
def test_dcm2niix_makes_the_same_of_source_and_derived(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    place = subset(shared_data / "dicom" / name, tmp_path)
    volume = io.read(place)
    io.write(volume, tmp_path / "out")
    before, source = dcm2niix(place, tmp_path / "a")
    after, derived = dcm2niix(tmp_path / "out", tmp_path / "b")
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-4)
    # It turns axes round as it sees fit; turned back, voxels and places must be ours.
    array, affine = back_on_grid(after.array, after.affine, volume.affine, volume.shape)
    np.testing.assert_array_equal(array, volume.array)
    np.testing.assert_array_equal(affine, volume.affine)
    for key in ("Modality", "Manufacturer", "ManufacturersModelName", "SoftwareVersions",
                "SliceThickness", "EchoTime", "RepetitionTime", "FlipAngle"):  # fmt: skip
        assert derived.get(key) == source.get(key), key
    assert derived["ImageType"][0] == "DERIVED"


def test_pictures_come_back(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "natural" / "Set12").glob("*.png"))
    assert files
    for path in files[:4]:
        volume = io.read(path)
        out = io.write(volume, tmp_path / path.name)
        np.testing.assert_array_equal(io.read(out).array, volume.array)


def test_every_series_is_found(shared_data: Path) -> None:
    scans = io.list_scans(shared_data / "pairs" / "L096")
    assert [str(scan.relative) for scan in scans] == [
        "full_3mm_sharp_sorted",
        "quarter_3mm_sharp_sorted",
    ]
    full, quarter = (io.read(scan.path, series=scan.series) for scan in scans)
    full.check_same_grid(quarter)
    assert full.units == "HU"
