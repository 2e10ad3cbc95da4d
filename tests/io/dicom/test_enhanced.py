"""Enhanced multi-frame CT, PET and MR: scale, place and order frame by frame, there and back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.errors import AmbiguousInput
from meddenoise.io.dicom.signed import signed
from meddenoise.io.dicom.source import DicomSource

EnhancedMaker = Callable[..., Path]
SAGITTAL = (0, 1, 0, 0, 0, -1)


def pixels(number: int, kind: str = "u2") -> np.ndarray:
    return np.arange(20, dtype=kind).reshape(4, 5) + np.dtype(kind).type(100 * number)


def said(path: Path) -> set[str]:
    """What dciodvfy says, but for the line that names the class."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (of dicom3tools) is not installed")
    run = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    return {line for line in (run.stdout + run.stderr).splitlines() if " - " in line}


def check_derived(path: Path, out: Path) -> None:
    """Only what must differ does: no word of the validator, no pixel, no group of a frame."""
    before, after = pydicom.dcmread(path), pydicom.dcmread(out)
    np.testing.assert_array_equal(after.pixel_array, before.pixel_array)
    assert after.SOPClassUID == before.SOPClassUID
    assert list(after.ImageType) == ["DERIVED", *before.ImageType[1:]]
    assert after.DimensionIndexSequence == before.DimensionIndexSequence
    groups = zip(
        before.PerFrameFunctionalGroupsSequence, after.PerFrameFunctionalGroupsSequence, strict=True
    )
    for number, (old, new) in enumerate(groups, 1):
        (derivation,) = new.DerivationImageSequence
        (source,) = derivation.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert source.ReferencedFrameNumber == number
        del new.DerivationImageSequence
        assert new == old
    (shared,) = after.SharedFunctionalGroupsSequence
    for element in shared:
        if "FrameType" in element.value[0]:
            assert list(element.value[0].FrameType) == list(after.ImageType)
    assert shared.get("PixelValueTransformationSequence") == before.SharedFunctionalGroupsSequence[
        0
    ].get("PixelValueTransformationSequence")


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SAGITTAL, (0.8, 0.6, 0, -0.6, 0.8, 0)])
@pytest.mark.parametrize("modality", ["CT", "PT", "MR"])
@pytest.mark.parametrize(
    ("order", "names"),
    [
        ((0, 1, 2, 3), ("meddenoise", "highdicom", "dcm2niix")),
        ((2, 0, 3, 1), ("meddenoise", "highdicom")),  # where dcm2niix takes another slice distance
    ],
)
def test_every_library_sees_a_marker_where_it_is(
    make_enhanced: EnhancedMaker,
    frame: type,
    readers: dict[str, Callable[[Path], np.ndarray]],
    tmp_path: Path,
    modality: str,
    orientation: tuple[float, ...],
    order: tuple[int, ...],
    names: tuple[str, ...],
) -> None:
    along, down = np.array(orientation).reshape(2, 3)
    origin, step = np.array([11.0, -7.0, 3.5]), 5 * np.cross(along, down)
    slices = []
    for number in order:
        picture = pixels(number) % 90
        if number == 1:
            picture[3, 1] = 120
        position = tuple((origin + number * step).round(9))
        slices.append(frame(picture, position, orientation, place=number + 1))
    path = make_enhanced(modality, slices)
    out = io.write(io.read(path), tmp_path / "out.dcm")
    expected = origin + step + 1 * 0.4 * along + 3 * 0.7 * down
    for name in names:
        for each in (path, out):
            np.testing.assert_allclose(readers[name](each), expected, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_every_frame_has_its_own_scale(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], tmp_path: Path, modality: str
) -> None:
    order = (2, 0, 3, 1)  # in the file; along the normal it is another
    kind = "i2" if modality == "CT" else "u2"
    path = make_enhanced(
        modality,
        [
            frame(pixels(n, kind), (0, 0, 5.0 * n), place=n + 1, slope=0.5 + n, intercept=-n)
            for n in order
        ],
    )
    volume = io.read(path)
    for n in range(4):
        expected = pixels(n, kind) * (0.5 + n) - n
        np.testing.assert_array_equal(volume.array[0, :, :, n].T, expected)
    np.testing.assert_array_equal(volume.affine, np.diag([-0.4, -0.7, 5, 1]))
    assert volume.modality == modality
    assert volume.units == ("HU" if modality == "CT" else "")
    assert volume.source.irregular == ()
    report = io.write_report(volume, tmp_path / "out.dcm")
    assert report.clipped == 0
    check_derived(path, report.path)
    again = io.read(report.path)
    np.testing.assert_array_equal(again.array, volume.array)
    # Changed values are stored in each frame's own scale.
    shifted = volume.with_array(volume.array + np.float32(35), note="method test")
    out = io.write(shifted, tmp_path / "shifted.dcm")
    step = (0.5 + np.arange(4)) / 2
    assert (abs(io.read(out).array - shifted.array) <= step).all()


@pytest.mark.parametrize(("kind", "units"), [("HU", "HU"), ("US", "HU"), ("Z_EFF", "Z_EFF")])
@pytest.mark.parametrize("shared", [False, True])
def test_frames_say_what_they_are_scaled_to(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], kind: str, units: str, shared: bool
) -> None:
    slices = [frame(pixels(n), (0, 0, 5.0 * n), place=n + 1) for n in range(3)]
    path = make_enhanced("CT", slices, shared_scale=shared)
    ds = pydicom.dcmread(path)
    for group in (*ds.SharedFunctionalGroupsSequence, *ds.PerFrameFunctionalGroupsSequence):
        for scale in group.get("PixelValueTransformationSequence", ()):
            scale.RescaleType = kind
    ds.save_as(path)
    assert io.read(path).units == units


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_frames_may_share_their_scale(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], tmp_path: Path, modality: str
) -> None:
    slices = [frame(pixels(n), (0, 0, 5.0 * n), place=n + 1, slope=2, intercept=-1000)
              for n in range(3)]  # fmt: skip
    path = make_enhanced(modality, slices, shared_scale=True)
    volume = io.read(path)
    assert volume.array.min() == -1000
    assert volume.array.max() == 219 * 2 - 1000
    out = io.write(volume, tmp_path / "out.dcm")
    check_derived(path, out)
    np.testing.assert_array_equal(io.read(out).array, volume.array)


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_the_validator_finds_no_fault(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], tmp_path: Path, modality: str
) -> None:
    slices = [frame(pixels(n), (0, 0, 5.0 * n), place=n + 1, slope=1 + n) for n in (1, 0, 2)]
    for shared_scale in (False, True):
        path = make_enhanced(modality, slices, shared_scale=shared_scale)
        assert said(path) == set()
        volume = io.read(path)
        for keep in (False, True):
            out = io.write(volume, tmp_path / "out.dcm", overwrite=True, keep_private=keep)
            assert said(out) == set()
        out = io.write(volume, tmp_path / "out.dcm", overwrite=True, compress="rle")
        np.testing.assert_array_equal(io.read(out).array, volume.array)


def test_times_and_slices_out_of_order_become_channels_and_slices(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], tmp_path: Path
) -> None:
    order = [(2, 1), (0, 2), (1, 1), (1, 2), (0, 1), (2, 2)]
    path = make_enhanced(
        "PT",
        [
            frame(pixels(n + 10 * time), (0, 0, 5.0 * n), place=n + 1, time=time, slope=time)
            for n, time in order
        ],
    )
    volume = io.read(path)
    assert volume.array.shape == (2, 5, 4, 3)
    for n, time in order:
        stored = pixels(n + 10 * time)
        np.testing.assert_array_equal(volume.array[time - 1, :, :, n].T, stored * time)
    check_derived(path, io.write(volume, tmp_path / "out.dcm"))


@pytest.mark.parametrize(
    ("orientation", "position"), [(SAGITTAL, (5.0, 0, 0)), ((1, 0, 0, 0, 1, 0), (0, 0, 5.0))]
)
def test_stacks_are_volumes_of_their_own_and_the_other_one_stays(
    make_enhanced: EnhancedMaker,
    frame: Callable[..., object],
    tmp_path: Path,
    orientation: tuple[float, ...],
    position: tuple[float, ...],
) -> None:
    """Two stacks at an angle, or parallel and far apart, with their frames in turns."""
    first = [frame(pixels(n), (0, 0, 5.0 * n), place=n + 1) for n in range(3)]
    second = [
        frame(pixels(10 + n), tuple(np.add((0, 0, 100), np.multiply(n, position))),
              orientation=orientation, stack=2, place=n + 1)
        for n in range(4)
    ]  # fmt: skip
    turns = [second[0], first[1], second[2], first[0], first[2], second[3], second[1]]
    path = make_enhanced("CT", turns)
    with pytest.raises(AmbiguousInput, match="2 series"):
        io.read(path)
    larger, smaller = (io.read(path, series=f"1.2.3.4.5#{n}") for n in (1, 2))
    assert (larger.shape[2], smaller.shape[2]) == (4, 3)
    assert smaller.source.irregular == larger.source.irregular == ()
    np.testing.assert_array_equal(smaller.array[0].T, [each.pixels for each in first])
    out = io.write(smaller.with_array(smaller.array + 1), tmp_path / "out.dcm")
    before, after = pydicom.dcmread(path), pydicom.dcmread(out)
    changed = (after.pixel_array.astype(int) - before.pixel_array).reshape(7, -1)
    new = [each in first for each in turns]
    np.testing.assert_array_equal(changed, np.broadcast_to(np.array(new)[:, None], changed.shape))
    # What was not denoised is not called derived.
    assert after.ImageType[0] == "MIXED"
    for group, is_new in zip(after.PerFrameFunctionalGroupsSequence, new, strict=True):
        kind = group.CTImageFrameTypeSequence[0].FrameType[0]
        assert kind == ("DERIVED" if is_new else "ORIGINAL")
        said_of_it = group.DerivationImageSequence[0].DerivationDescription
        assert ("noise reduction" if is_new else "copied as it was") in said_of_it
    assert said(out) == said(path) == set()


def test_what_was_taken_from_one_stack_has_nothing_of_the_other(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], tmp_path: Path
) -> None:
    slices = [
        frame(pixels(stack % 2 + n % 2), (0, 0, 100.0 * stack + 5 * n), stack=stack, place=n + 1)
        for stack in (1, 2)
        for n in range(3)
    ]
    path = make_enhanced("CT", slices)
    volume = io.read(path, series="1.2.3.4.5#2")
    assert isinstance(volume.source, DicomSource)
    residual = replace(volume, source=signed(volume.source))
    change = np.where(np.arange(volume.array.size) % 2, -7, 5).reshape(volume.array.shape)
    out = io.write(residual.with_array(change.astype(np.float32)), tmp_path / "out.dcm")
    header = pydicom.dcmread(out)
    other, same = (io.read(out, series=f"{header.SeriesInstanceUID}#{n}").array for n in (1, 2))
    np.testing.assert_array_equal(same, change)
    assert not other.any()
    assert not any("FrameVOILUTSequence" in g for g in header.PerFrameFunctionalGroupsSequence)
    assert "FrameVOILUTSequence" not in header.SharedFunctionalGroupsSequence[0]


def test_slabs_that_lie_one_upon_the_other_are_one_volume(
    make_enhanced: EnhancedMaker, frame: Callable[..., object]
) -> None:
    slices = [frame(pixels(n), (0, 0, 5.0 * n), stack=1 + n // 3, place=1 + n % 3)
              for n in range(6)]  # fmt: skip
    assert io.read(make_enhanced("MR", slices)).shape == (5, 4, 6)


def test_a_derived_mr_leaves_its_pulse_sequence_to_the_source(
    make_enhanced: EnhancedMaker, frame: Callable[..., object], tmp_path: Path
) -> None:
    path = make_enhanced("MR", [frame(pixels(n), (0, 0, 5.0 * n), place=n + 1) for n in range(2)])
    report = io.write_report(io.read(path), tmp_path / "out.dcm")
    ds = pydicom.dcmread(report.path)
    for keyword in ("PulseSequenceName", "MRAcquisitionType", "EchoPulseSequence"):
        assert keyword in pydicom.dcmread(path)
        assert keyword not in ds
        assert any(keyword in note for note in report.notes)
    (shared,) = ds.SharedFunctionalGroupsSequence
    assert shared.MREchoSequence[0].EffectiveEchoTime == 3.7
    assert shared.MRTimingAndRelatedParametersSequence[0].FlipAngle == 9
    assert "Spoiling" not in shared.MRModifierSequence[0]
    assert ds.AcquisitionDateTime == "20200101120000"
    # One that was derived before keeps what it has.
    ds.PulseSequenceName, ds.ImageType = "fl3d", ["DERIVED", "PRIMARY", "T1", "NONE"]
    pydicom.dcmwrite(tmp_path / "again.dcm", ds)
    out = io.write(io.read(tmp_path / "again.dcm"), tmp_path / "twice.dcm")
    assert pydicom.dcmread(out).PulseSequenceName == "fl3d"
