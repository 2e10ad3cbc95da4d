from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.volume import Volume


def uids(volume: Volume, out: Path, **options: bool) -> list[tuple[str, str]]:
    io.write(volume, out, **options)
    found = [pydicom.dcmread(path) for path in sorted(out.iterdir())]
    for ds in found:
        assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
        assert ds.SOPInstanceUID.is_valid
        assert ds.SeriesInstanceUID.is_valid
    return [(ds.SeriesInstanceUID, ds.SOPInstanceUID) for ds in found]


def test_the_same_work_gives_the_same_uids_only_if_asked(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp)).with_array(ramp.T[None].astype(np.float32), note="median")
    first = uids(volume, tmp_path / "a", deterministic_uids=True)
    assert first == uids(volume, tmp_path / "b", deterministic_uids=True)
    assert len(set(first)) == 3
    assert not set(first) & set(uids(volume, tmp_path / "c"))
    assert uids(volume, tmp_path / "d") != uids(volume, tmp_path / "e")


def test_other_work_or_other_pixels_give_other_uids(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp))
    first = uids(volume, tmp_path / "a", deterministic_uids=True)
    noted = uids(volume.with_array(volume.array, note="median"), tmp_path / "b",
                 deterministic_uids=True)  # fmt: skip
    assert {series for series, _ in first}.isdisjoint(series for series, _ in noted)
    changed = volume.array.copy()
    changed[0, 0, 0, 0] += 1
    other = uids(volume.with_array(changed), tmp_path / "c", deterministic_uids=True)
    assert [a == b for a, b in zip(first, other, strict=True)] == [False, True, True]


def test_private_elements_stay_if_asked(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    place = make_series(ramp)
    for path in place.iterdir():
        ds = pydicom.dcmread(path)
        ds.private_block(0x29, "VENDOR", create=True).add_new(0x10, "LO", "vendor's")
        pydicom.dcmwrite(path, ds)
    volume = io.read(place)
    io.write(volume, tmp_path / "kept", keep_private=True)
    ds = pydicom.dcmread(tmp_path / "kept" / "IM0001.dcm")
    assert ds.private_block(0x29, "VENDOR")[0x10].value == "vendor's"
    io.write(volume, tmp_path / "dropped")
    for element in pydicom.dcmread(tmp_path / "dropped" / "IM0001.dcm").iterall():
        assert not element.tag.is_private


def test_equal_slices_whose_sources_share_a_uid_get_uids_of_their_own(
    make_series: Callable[..., Path], tmp_path: Path
) -> None:
    volume = io.read(make_series(np.zeros((3, 4, 5), np.uint16), SOPInstanceUID="1.2.3.4.5.6"))
    first = uids(volume, tmp_path / "a", deterministic_uids=True)
    assert first == uids(volume, tmp_path / "b", deterministic_uids=True)
    assert len(set(first)) == 3


@pytest.mark.parametrize("told_apart_by", ["patient", "voxels"])
def test_series_whose_uid_was_emptied_do_not_get_the_same(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path, told_apart_by: str
) -> None:
    said = []
    empty = {"SeriesInstanceUID": "", "StudyInstanceUID": "", "SOPInstanceUID": "1.2.3"}
    for number, name in enumerate("AB"):
        patient = name if told_apart_by == "patient" else ""
        voxels = ramp if told_apart_by == "patient" else ramp + np.uint16(number)
        place = make_series(voxels, name=name, PatientID=patient, **empty)
        volume, out = io.read(place), tmp_path / f"out{name}"
        first = uids(volume, out, deterministic_uids=True)
        assert first == uids(volume, tmp_path / f"again{name}", deterministic_uids=True)
        ds = pydicom.dcmread(out / "IM0001.dcm")
        said.append({ds.SeriesInstanceUID, ds.StudyInstanceUID})
    assert len(said[0] | said[1]) == 4
