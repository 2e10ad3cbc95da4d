from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

import meddenoise as md
from meddenoise.errors import DamagedScan, FileError
from meddenoise.io import plane_scan as module
from meddenoise.io import write_report
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.io.planes import open_planes

SHAPE = (9, 8, 7)  # slices, rows, columns


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)


def opened(place: Path) -> PlaneScan:
    scan = open_planes(place)
    assert scan is not None
    return scan


def whole_of(scan: PlaneScan, channel: int = 0) -> np.ndarray:
    return np.concatenate([*scan.planes(channel)], axis=2)


@pytest.mark.parametrize("by_file", [False, True])
def test_slices_are_those_of_the_whole(
    make_series: Callable[..., Path],
    pixels: np.ndarray,
    by_file: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PART", 8 * 7 * 2)
    place = make_series(pixels, Modality="CT", RescaleSlope=2, RescaleIntercept=-1000)
    if by_file:
        place = sorted(place.iterdir())[3]
    whole, scan = md.read(place), opened(place)
    assert [part.shape for part in scan.planes()] == [(7, 8, 2)] * 4 + [(7, 8, 1)]
    assert np.array_equal(whole_of(scan), whole.array[0])
    assert np.array_equal(np.concatenate([*scan.planes(0, 4, 7)], axis=2), whole.array[0][..., 4:7])
    head = scan.head
    assert (head.shape, head.units, head.modality) == (whole.shape, "HU", "CT")
    assert np.array_equal(head.affine, whole.affine)
    assert np.array_equal(scan.middle(1).array, whole.array)


def test_padding_is_no_number_and_is_put_back(
    make_series: Callable[..., Path], pixels: np.ndarray, tmp_path: Path
) -> None:
    pixels[:, :2] = -2000
    pixels[4, 5, 5] = -2000
    place = make_series(pixels, Modality="CT", RescaleIntercept=-1000, PixelPaddingValue=-2000)
    whole, scan = md.read(place), opened(place)
    assert np.array_equal(np.isfinite(whole_of(scan)), whole.valid[0])
    denoised = (part + np.float32(5) for part in scan.planes())
    report = write_report(scan.head, tmp_path / "out", planes=denoised)
    assert (report.format, report.voxels, report.clipped) == ("dicom", pixels.size, 0)
    back = [pydicom.dcmread(path).pixel_array for path in sorted((tmp_path / "out").iterdir())]
    assert np.array_equal(np.stack(back), np.where(pixels == -2000, -2000, pixels + 5))


def test_a_stream_writes_what_the_whole_writes(
    make_series: Callable[..., Path], pixels: np.ndarray, tmp_path: Path
) -> None:
    place = make_series(pixels, Modality="CT", RescaleSlope=2, RescaleIntercept=-1000)
    scan = opened(place)
    write_report(scan.head, tmp_path / "one", planes=scan.planes(), deterministic_uids=True)
    write_report(md.read(place), tmp_path / "other", deterministic_uids=True)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == len(pixels)
    for name in names:
        one, other = (pydicom.dcmread(tmp_path / out / name) for out in ("one", "other"))
        differing = {e.keyword for e in one if e != other[e.tag]}
        # No more than the moment that each was written at.
        assert all("Time" in word or word == "ContributingEquipmentSequence" for word in differing)
        assert one.SOPInstanceUID == other.SOPInstanceUID
        assert one.PixelData == other.PixelData
    write_report(scan.head, tmp_path / "out.nii", planes=scan.planes())
    assert np.array_equal(md.read(tmp_path / "out.nii").array, md.read(place).array)


def test_a_slice_that_ends_too_early_is_found_when_it_is_read(
    make_series: Callable[..., Path], pixels: np.ndarray, tmp_path: Path
) -> None:
    place = make_series(pixels)
    scan = opened(place)
    last = sorted(place.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.raises(DamagedScan, match="truncated or damaged"):
        write_report(scan.head, tmp_path / "out", planes=scan.planes())
    assert not (tmp_path / "out").exists()


def test_what_is_decoded_as_a_whole_is_left_alone(
    make_series: Callable[..., Path], pixels: np.ndarray
) -> None:
    many = make_series(pixels)
    assert open_planes(many, at_least=pixels.size) is not None
    assert open_planes(many, at_least=pixels.size + 1) is None
    for path in sorted(many.iterdir())[1:]:
        path.unlink()
    assert open_planes(many) is None


def test_a_slice_that_is_a_link_to_nowhere_is_named(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(ramp)
    last = max(place.iterdir())
    last.rename(place.parent / "moved")
    last.symlink_to(place.parent / "not there")
    for take in (md.read, open_planes):
        with pytest.raises(FileError, match=rf"{last.name} cannot be read: No such file"):
            take(place)
    assert opened(min(place.iterdir())).shape == md.read(min(place.iterdir())).shape == (5, 4, 2)
