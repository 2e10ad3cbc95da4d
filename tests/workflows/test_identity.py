"""Every real scan at hand comes back from the method ``identity`` as it went in."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from meddenoise import io
from meddenoise.errors import FileError
from meddenoise.io.dicom.acquisition import left_to_the_source
from meddenoise.io.dicom.files import open_header
from meddenoise.volume import Volume
from meddenoise.workflows.denoise import denoise_files

#: All directories with scans: together they hold every one, which a test asserts.
PLACES = (
    "ct", "dicom/bits12", "dicom/ct_15_syntaxes", "dicom/ct_abdomen_j2k", "dicom/ct_pelvis_soft",
    "dicom/ct_tilt_philips", "dicom/ct_tilt_variable_ge", "dicom/enhanced", "dicom/fragments",
    "dicom/mixed", "dicom/mr_t1_siemens", "dicom/pet", "dicom/syntaxes", "mri", "natural/BSD68",
    "natural/Set12", "natural/Train400", "nrrd", "pairs/L096", "pairs/L143", "pairs/lcd_ct",
)  # fmt: skip
FILES = ("pairs/dti_2x11.nii.gz",)
#: Lossy syntaxes that no codec with a free licence knows.
UNDECODABLE = ("1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
#: What tells a derived instance from its source.
NEW = {
    "SOPInstanceUID", "SeriesInstanceUID", "ImageType", "SeriesNumber", "SeriesDescription",
    "DerivationDescription", "DerivationCodeSequence", "SourceImageSequence",
    "SourceImageEvidenceSequence", "ContributingEquipmentSequence", "InstanceCreationDate",
    "InstanceCreationTime", "ContentDate", "ContentTime", "SeriesDate", "SeriesTime",
    "SmallestImagePixelValue", "LargestImagePixelValue", "LossyImageCompression", "PixelData",
}  # fmt: skip
#: Frame by frame in enhanced objects; tests of those look into them.
GROUPS = {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}


@pytest.mark.filterwarnings("ignore:The value length:UserWarning:pydicom")
@pytest.mark.parametrize("name", [*PLACES, *FILES])
def test_what_comes_out_is_what_went_in(shared_data: Path, tmp_path: Path, name: str) -> None:
    scans = io.list_scans(shared_data / name)
    assert scans
    for number, scan in enumerate(scans):
        extension = scan.path.name[scan.path.name.index(".") :] if scan.format != "dicom" else ""
        target = tmp_path / f"{number}{extension.replace('.mhd', '.mha')}"
        try:
            before = io.read(scan.path, series=scan.series)
        except FileError as error:
            if name != "dicom/ct_15_syntaxes" or not any(uid in str(error) for uid in UNDECODABLE):
                raise
            continue
        (outcome,) = denoise_files(scan.path, target, method="identity", series=scan.series)
        assert outcome.clipped == 0
        after = io.read(target)
        check_same(before, after)
        check_header(before, after)


def check_same(before: Volume, after: Volume) -> None:
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_array_equal(after.affine, before.affine)
    assert after.array.dtype == before.array.dtype
    assert (after.units, after.modality) == (before.units, before.modality)
    assert (after.padding is None) == (before.padding is None)
    if before.padding is not None:
        np.testing.assert_array_equal(after.padding, before.padding)


def check_header(before: Volume, after: Volume) -> None:
    source, made = before.source, after.source
    if source.format == "nifti":
        assert unpacked(made.path) == unpacked(source.path)
    elif source.format == "nrrd":
        assert made.text == source.text
    elif source.format == "metaimage":  # in one file instead of several
        assert made.lines[:-1] == source.lines[:-1]
    elif source.format == "dicom":
        for old, new in zip(source.files, made.files, strict=True):
            check_elements(old, new)
    else:
        assert (made.kind, made.dpi) == (source.kind, source.dpi)


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def check_elements(old: Path, new: Path) -> None:
    """All public elements of the data set are the source's, but those that must be new."""
    before = public(pydicom.dcmread(old, force=True, stop_before_pixels=True))
    after = public(pydicom.dcmread(new, stop_before_pixels=True))
    left = {*left_to_the_source(open_header(old)), "DataSetTrailingPadding"}
    for tag, value in before.items():
        keyword = keyword_for_tag(tag)
        if keyword in NEW | GROUPS | left:
            continue
        if not value and keyword in ("SOPClassUID", "StudyInstanceUID"):
            assert after[tag]  # which nobody may leave empty
        else:
            assert after.get(tag) == value, keyword
    assert {keyword_for_tag(tag) for tag in after.keys() - before.keys()} <= NEW


def public(ds: Dataset) -> dict[BaseTag, Any]:
    """Values by tag: no private ones, no group lengths (which are none any more), no commands."""
    return {
        element.tag: [public(item) for item in element.value]
        if element.VR == "SQ"
        else element.value
        for element in ds
        if not element.tag.is_private and element.tag.element != 0 and element.tag.group > 2
    }


def test_the_places_hold_every_scan(shared_data: Path) -> None:
    def found(place: Path) -> set[tuple[Path, str | None]]:
        return {(scan.path, scan.series) for scan in io.list_scans(place)}

    everything = found(shared_data)
    listed = set().union(*(found(shared_data / name) for name in [*PLACES, *FILES]))
    assert {path for path, _ in everything} == {path for path, _ in listed}
