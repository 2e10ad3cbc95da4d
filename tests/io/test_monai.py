from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("monai")
from monai.data import DataLoader, Dataset, decollate_batch
from monai.transforms import Compose, LoadImaged, Orientationd, SaveImaged

from meddenoise import io
from meddenoise.io.monai import MeddenoiseReader, MeddenoiseWriter


def save(item: dict[str, object], place: Path, extension: str, writer: object) -> None:
    SaveImaged("image", writer=writer, output_ext=extension, output_dir=place, output_postfix="dn",
               separate_folder=False, print_log=False)(item)  # fmt: skip


@pytest.mark.parametrize("orientation", [None, "RAS", "SAL"])
def test_a_series_goes_through_a_pipeline_and_comes_back(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path, orientation: str | None
) -> None:
    place = make_series(ramp, Modality="CT", RescaleSlope=2, RescaleIntercept=-1024)
    steps = [LoadImaged("image", reader=MeddenoiseReader())]
    if orientation:
        steps.append(Orientationd("image", orientation, labels=None))
    loader = DataLoader(Dataset([{"image": place}], Compose(steps)), batch_size=1, num_workers=0)
    volume = io.read(place)
    for batch in loader:
        if orientation is None:
            np.testing.assert_array_equal(batch["image"][0].numpy(), volume.array)
            np.testing.assert_allclose(batch["image"].affine[0].numpy(), volume.affine)
        for item in decollate_batch(batch):
            item["image"] = item["image"] + 2
            for extension in ("", ".nii.gz", ".nrrd"):
                save(item, tmp_path / "out", extension, MeddenoiseWriter)
    for extension in ("", ".nii.gz", ".nrrd"):
        again = io.read(tmp_path / "out" / f"series_dn{extension}")
        np.testing.assert_array_equal(again.array, volume.array + 2)
        np.testing.assert_allclose(again.affine, volume.affine, atol=1e-4)
    written = pydicom.dcmread(tmp_path / "out" / "series_dn" / "IM0001.dcm")
    assert written.ImageType[0] == "DERIVED"
    assert written.StudyInstanceUID == "1.2.3.4"


def test_the_header_survives_worker_processes(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    place = make_series(ramp)
    dataset = Dataset([{"image": place}] * 2, LoadImaged("image", reader=MeddenoiseReader()))
    (batch,) = DataLoader(dataset, batch_size=2, num_workers=1)
    for number, item in enumerate(decollate_batch(batch)):
        save(item, tmp_path / str(number), "", MeddenoiseWriter)
        again = io.read(tmp_path / str(number) / "series_dn")
        np.testing.assert_array_equal(again.array[0].T, ramp)


def test_nifti_keeps_its_header_or_gets_floats_if_asked(tmp_path: Path) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1, 2, 3, 1]))
    image.header["descrip"] = b"kept"
    nib.save(image, tmp_path / "in.nii")
    item = LoadImaged("image", reader=MeddenoiseReader())({"image": tmp_path / "in.nii"})
    save(item, tmp_path / "a", ".nii", MeddenoiseWriter)
    assert (tmp_path / "a/in_dn.nii").read_bytes() == (tmp_path / "in.nii").read_bytes()
    item["image"] = item["image"] / 4
    save(item, tmp_path / "b", ".nii", partial(MeddenoiseWriter, dtype="float32"))
    again = nib.load(tmp_path / "b/in_dn.nii")
    np.testing.assert_allclose(again.get_fdata(), np.arange(24).reshape(2, 3, 4) / 4)
    assert again.header["descrip"] == b"kept"


def test_several_scans_become_channels_if_they_share_a_grid(tmp_path: Path) -> None:
    from meddenoise.errors import GeometryError
    from meddenoise.volume import Volume

    one, two = np.ones((2, 3, 4), np.float32), np.zeros((2, 3, 4), np.float32)
    io.write(Volume.from_array(one), tmp_path / "1.nii")
    io.write(Volume.from_array(two), tmp_path / "2.nii")
    io.write(Volume.from_array(two, spacing=(2, 2, 2)), tmp_path / "3.nii")
    reader = MeddenoiseReader()
    array, _ = reader.get_data(reader.read([tmp_path / "1.nii", tmp_path / "2.nii"]))
    np.testing.assert_array_equal(array, np.stack([one, two]))
    with pytest.raises(GeometryError, match="do not share a grid"):
        reader.get_data(reader.read([tmp_path / "1.nii", tmp_path / "3.nii"]))
