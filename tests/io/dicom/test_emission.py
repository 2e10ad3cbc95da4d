"""Reconstructed SPECT: frames that are slices, and whose place the detector's sequence tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, NuclearMedicineImageStorage, generate_uid

from meddenoise import io
from meddenoise.errors import FileError

VOXELS = np.arange(6 * 4 * 5, dtype=np.uint16).reshape(6, 4, 5)
AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]
SpectMaker = Callable[..., Path]


@pytest.fixture
def make_spect(tmp_path: Path) -> SpectMaker:
    """``make_spect(orientation=..., **elements)`` writes the six frames of ``VOXELS``."""

    def make(orientation: list[int] = AXIAL, **elements: Any) -> Path:
        ds = Dataset()
        place = Dataset()
        place.ImagePositionPatient, place.ImageOrientationPatient = [-10, -20, 30], orientation
        said = {
            "SOPClassUID": NuclearMedicineImageStorage, "SOPInstanceUID": generate_uid(),
            "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "Modality": "NM",
            "ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"], "NumberOfFrames": 6,
            "FrameIncrementPointer": 0x00540080, "SliceVector": [1, 2, 3, 4, 5, 6],
            "SpacingBetweenSlices": 4.0, "SliceThickness": 4.0, "PixelSpacing": [3, 2],
            "DetectorInformationSequence": Sequence([place]), "Rows": 4, "Columns": 5,
            "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0,
            "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
            "PixelData": VOXELS.tobytes(), **elements,
        }  # fmt: skip
        for keyword, value in said.items():
            setattr(ds, keyword, value)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(tmp_path / "spect.dcm", ds, enforce_file_format=True)
        return tmp_path / "spect.dcm"

    return make


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL])
def test_frames_are_slices_where_others_see_them(
    make_spect: SpectMaker, tmp_path: Path, orientation: list[int]
) -> None:
    path = make_spect(orientation)
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array[0].T, VOXELS)
    assert volume.source.irregular == ()
    assert volume.source.oddities == ()
    image = sitk.ReadImage(str(path))
    for index in [(0, 0, 0), (4, 3, 5)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], expected, atol=1e-9)
    again = io.read(io.write(volume.with_array(volume.array + 1), tmp_path / "out.dcm"))
    np.testing.assert_array_equal(again.array, volume.array + 1)
    np.testing.assert_array_equal(again.affine, volume.affine)
    assert io.read(io.write(volume, tmp_path / "out.nii")).shape == (5, 4, 6)


def test_a_step_below_0_leads_to_the_front(make_spect: SpectMaker) -> None:
    volume = io.read(make_spect(SpacingBetweenSlices=-4.0))
    np.testing.assert_array_equal(volume.array[0].T, VOXELS[::-1])
    assert volume.affine[2, 2] == 4
    assert volume.affine[2, 3] == 30 - 5 * 4


def test_times_of_a_gated_one_are_channels(make_spect: SpectMaker, tmp_path: Path) -> None:
    path = make_spect(
        ImageType=["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"],
        TimeSlotVector=[1, 1, 1, 2, 2, 2], SliceVector=[1, 2, 3, 1, 2, 3],
    )  # fmt: skip
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array.transpose(0, 3, 2, 1), VOXELS.reshape(2, 3, 4, 5))
    again = pydicom.dcmread(io.write(volume, tmp_path / "out.dcm"))
    np.testing.assert_array_equal(again.pixel_array, VOXELS)


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]},  # views, not slices
        {"DetectorInformationSequence": Sequence()},
        {"SliceVector": None},
    ],
)
def test_frames_without_a_place_are_no_slices(
    make_spect: SpectMaker, elements: dict[str, Any]
) -> None:
    volume = io.read(make_spect(**elements))
    assert volume.array.shape == (6, 5, 4, 1)
    assert "No position and orientation in patient space." in volume.source.oddities


def test_a_wrong_number_of_slices_is_named(make_spect: SpectMaker) -> None:
    with pytest.raises(FileError, match=r"spect\.dcm: SliceVector .* 6 frames"):
        io.read(make_spect(SliceVector=[1, 2, 3]))
