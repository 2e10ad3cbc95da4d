from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meddenoise import io
from meddenoise.errors import FileError, GeometryError, InputError, OutputError
from meddenoise.io.nifti_fields import mm_between_places
from meddenoise.volume import Volume

SHEARED = np.array(
    [[0.4, 0.1, 0.0, -30.0], [0.05, -0.7, 0.2, 12.0], [0.0, 0.3, 5.0, 7.5], [0, 0, 0, 1]]
)


def save(path: Path, array: np.ndarray, affine: np.ndarray = SHEARED, **fields: object) -> Path:
    image = nib.Nifti1Image(array, affine)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_a_round_trip_keeps_every_byte(
    tmp_path: Path, dtype: str, order: str, extension: str
) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 100, (3, 4, 5)).astype(dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    header["descrip"], header["intent_code"], header["cal_max"] = b"asymmetric", 5, 77.0
    header["slice_code"], header["dim_info"], header["toffset"] = 3, 57, 1.5
    header.set_xyzt_units("mm", "sec")
    image = nib.Nifti1Image(array, SHEARED, header)
    image.header.set_sform(SHEARED, 4)
    image.header.set_qform(np.diag([0.4, 0.7, 5, 1]), 2)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    path = tmp_path / f"in{extension}"
    nib.save(image, path)
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array[0], array)
    np.testing.assert_allclose(volume.affine, SHEARED, atol=1e-6)
    io.write(volume, tmp_path / f"out{extension}")
    assert content(tmp_path / f"out{extension}") == content(path)


def test_slope_and_intercept_are_applied_and_kept(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = save(tmp_path / "in.nii", array)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.25, -3.0], "<f4").tobytes()
    path.write_bytes(raw)
    volume = io.read(path)
    np.testing.assert_allclose(volume.array[0], nib.load(path).get_fdata())
    np.testing.assert_allclose(volume.array[0], array * 0.25 - 3)
    io.write(volume, tmp_path / "out.nii")
    assert (tmp_path / "out.nii").read_bytes() == bytes(raw)


def test_new_values_are_rounded_in_the_stored_type(tmp_path: Path) -> None:
    volume = io.read(save(tmp_path / "in.nii", np.zeros((2, 2, 2), np.uint8)))
    noisy = volume.with_array(volume.array + np.float32(3.6))
    noisy.array[0, 0, 0, 0] = -5
    with pytest.warns(io.ClippingWarning, match="1 of 8 voxels"):
        io.write(noisy, tmp_path / "out.nii")
    again = nib.load(tmp_path / "out.nii")
    assert again.get_data_dtype() == np.uint8
    assert sorted(np.unique(again.get_fdata())) == [0, 4]


def test_float32_keeps_fractions_and_all_of_the_header_but_the_type(tmp_path: Path) -> None:
    path = save(tmp_path / "in.nii", np.ones((2, 2, 2), np.int16), descrip=b"kept")
    volume = io.read(path)
    io.write(volume.with_array(volume.array * -0.3), tmp_path / "out.nii", dtype="float32")
    again = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(again.get_fdata(), -0.3, rtol=1e-6)
    assert again.header["descrip"] == b"kept"
    changed = [
        name
        for name in again.header
        if again.header[name].tobytes() != nib.load(path).header[name].tobytes()
    ]
    assert set(changed) <= {"datatype", "bitpix", "scl_slope", "scl_inter"}


def test_non_finite_voxels_survive_in_floats_and_are_refused_in_integers(tmp_path: Path) -> None:
    array = np.ones((2, 2, 2), np.float32)
    array[0, 0, 0], array[1, 1, 1] = np.nan, np.inf
    volume = io.read(save(tmp_path / "in.nii", array))
    assert volume.valid.sum() == 6
    io.write(volume, tmp_path / "out.nii")
    np.testing.assert_array_equal(io.read(tmp_path / "out.nii").array, volume.array)
    like = io.read(save(tmp_path / "like.nii", np.ones((2, 2, 2), np.int16)))
    with pytest.raises(OutputError, match="NaN"):
        io.write(volume, tmp_path / "bad.nii", like=like)
    assert not (tmp_path / "bad.nii").exists()


def test_four_dimensions_become_channels_and_come_back(tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(0, 9, (2, 3, 4, 5)).astype(np.int16)
    path = save(tmp_path / "in.nii.gz", array)
    volume = io.read(path)
    assert volume.array.shape == (5, 2, 3, 4)
    np.testing.assert_array_equal(np.moveaxis(volume.array, 0, -1), array)
    io.write(volume, tmp_path / "out.nii.gz")
    assert content(tmp_path / "out.nii.gz") == content(path)


def test_a_cropped_volume_gets_a_header_for_its_grid(tmp_path: Path) -> None:
    volume = io.read(save(tmp_path / "in.nii", np.ones((4, 4, 4), np.int16), descrip=b"kept"))
    shift = np.eye(4)
    shift[:3, 3] = 1, 2, 0
    cropped = Volume(volume.array[:, 1:, 2:], volume.affine @ shift, source=volume.source)
    io.write(cropped, tmp_path / "out.nii")
    again = nib.load(tmp_path / "out.nii")
    assert again.shape == (3, 2, 4)
    np.testing.assert_allclose(again.affine, cropped.affine, atol=1e-5)
    assert again.header["descrip"] == b"kept"


def test_units_other_than_mm_are_converted(tmp_path: Path) -> None:
    path = save(tmp_path / "in.nii", np.ones((2, 2, 2), np.int16), np.eye(4) * 30, xyzt_units=3)
    assert io.read(path).spacing == pytest.approx((0.03, 0.03, 0.03))


def test_pairs_are_read_and_written_as_one_file(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.save(nib.Nifti1Pair(array, SHEARED), tmp_path / "in.hdr")
    volume = io.read(tmp_path / "in.hdr")
    np.testing.assert_array_equal(volume.array[0], array)
    io.write(volume, tmp_path / "out.nii")
    again = nib.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(again.get_fdata(), array)
    np.testing.assert_allclose(again.affine, SHEARED, atol=1e-6)
    (tmp_path / "in.img").unlink()
    with pytest.raises(FileError, match=r"\.img"):
        io.read(tmp_path / "in.hdr")


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path: Path, extension: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 30000, (20, 20, 20)).astype(np.int16)
    path = save(tmp_path / f"in{extension}", noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(FileError, match="truncated"):
        io.read(path)


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "in.nii.gz", np.ones((9, 9, 9), np.int16))
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(FileError, match="damaged"):
        io.read(path)


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_claims_beyond_the_file_take_no_memory(tmp_path: Path, extension: str) -> None:
    path = save(tmp_path / "in.nii", np.ones((2, 2, 2), np.int16))
    raw = bytearray(path.read_bytes())
    raw[42:48] = np.array([8000, 8000, 8000], "<i2").tobytes()
    path = tmp_path / f"claim{extension}"
    path.write_bytes(gzip.compress(raw) if extension == ".nii.gz" else raw)
    with pytest.raises(FileError, match="claims"):
        io.read(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({70: np.array([128], "<i2")}, "RGB"),
        ({70: np.array([32], "<i2")}, "complex"),
        ({70: np.array([999], "<i2")}, "datatype 999"),
        ({40: np.array([0], "<i2")}, "dimensions"),
        ({40: np.array([3, -2], "<i2")}, "dimensions"),
        ({40: np.array([5, 2, 2, 1, 1, 2], "<i2")}, "vectors"),
        ({108: np.array([20.0], "<f4")}, "inside the 348-byte header"),
        ({108: np.array([np.nan], "<f4")}, "vox_offset"),
        ({112: np.array([2.0, np.inf], "<f4")}, "scl_inter"),
        ({280: np.zeros(12, "<f4")}, "singular"),
        ({280: np.full(12, np.nan, "<f4")}, "not finite"),
    ],
)
def test_senseless_headers_are_refused_by_name(
    tmp_path: Path, change: dict[int, np.ndarray], match: str
) -> None:
    path = save(tmp_path / "in.nii", np.ones((2, 2, 2), np.int16))
    raw = bytearray(path.read_bytes())
    for offset, values in change.items():
        raw[offset : offset + values.nbytes] = values.tobytes()
    path.write_bytes(raw)
    with pytest.raises(InputError, match=match) as caught:
        io.read(path)
    assert isinstance(caught.value, (FileError, GeometryError))
    assert str(path) in str(caught.value)


def test_the_same_voxels_give_the_same_file(tmp_path: Path) -> None:
    volume = Volume.from_array(np.random.default_rng(0).random((4, 4, 4), np.float32))
    io.write(volume, tmp_path / "a.nii.gz")
    io.write(volume, tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_bare_array_gets_both_transforms(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 2.0, 5], [-0.4, 0, 0, 6], [0, 0.7, 0, 7], [0, 0, 0, 1]])
    io.write(Volume.from_array(np.ones((3, 4, 5)), affine=affine), tmp_path / "out.nii")
    image = nib.load(tmp_path / "out.nii")
    for found, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(found, affine, atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_damaged_quaternion_is_named(tmp_path: Path) -> None:
    image = nib.Nifti2Image(np.ones((3, 4, 5), np.int16), None)
    image.header["qform_code"] = 1
    image.header["quatern_b"] = 3
    path = tmp_path / "in.nii"
    path.write_bytes(image.header.binaryblock + bytes(4) + bytes(2 * 60))
    with pytest.raises(FileError, match="orientation is damaged"):
        io.read(path)


def test_a_place_beyond_single_precision_is_refused(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1, 1, 1])
    affine[0, 3] = 1e300
    with pytest.raises(GeometryError, match="further than NIfTI"):
        io.write(Volume.from_array(np.ones((2, 2, 2)), affine=affine), tmp_path / "out.nii")


def test_the_voxels_of_a_pair_point_to_its_header(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(np.ones((3, 4, 5), np.int16), np.eye(4)), tmp_path / "in.img")
    with pytest.raises(FileError, match=r"name its header, .*in\.hdr"):
        io.read(tmp_path / "in.img")


def with_sizes(path: Path, sizes: list[float], axes: int = 3) -> Path:
    """The same file with other numbers in pixdim, from the handedness on."""
    raw = bytearray(path.read_bytes())
    raw[40:42] = np.array([axes], "<i2").tobytes()
    raw[76 : 76 + 4 * len(sizes)] = np.array(sizes, "<f4").tobytes()
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("sizes", [[0, 2, 3, 4], [1, -2, -3, -4], [2.5, 2, 3, 4]])
@pytest.mark.parametrize("code", [0, 1])
def test_odd_sizes_mean_what_they_mean_to_nibabel(
    tmp_path: Path, sizes: list[float], code: int
) -> None:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), None)
    image.header.set_qform(np.array([[0, -3, 0, 7], [2, 0, 0, 8], [0, 0, 4, 9], [0, 0, 0, 1]]), 1)
    image.header["qform_code"] = code
    image.header["sform_code"] = 0
    nib.save(image, tmp_path / "in.nii")
    path = with_sizes(tmp_path / "in.nii", sizes)
    volume = io.read(path)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine, atol=1e-5)
    io.write(volume, tmp_path / "out.nii")
    assert content(tmp_path / "out.nii") == content(path)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("axes", [2, 3])
def test_an_axis_of_a_single_voxel_may_leave_its_size_out(
    tmp_path: Path, code: int, axes: int
) -> None:
    image = nib.Nifti1Image(np.ones((3, 4, 1), np.int16), None)
    image.header["qform_code"], image.header["sform_code"] = code, 0
    nib.save(image, tmp_path / "in.nii")
    volume = io.read(with_sizes(tmp_path / "in.nii", [1, 2, 3, 0], axes))
    assert volume.spacing == pytest.approx((2, 3, 1))


@pytest.mark.parametrize(("shift", "unit", "said"), [(0.15, 2, ""), (3, 2, "3 mm"), (3, 3, "3 mm")])
def test_two_places_that_disagree_are_said(
    tmp_path: Path, shift: float, unit: int, said: str
) -> None:
    scale = {2: 1, 3: 1000}[unit]
    affine = np.diag([0.4 * scale, 0.7 * scale, 5 * scale, 1])
    path = save(tmp_path / "in.nii", np.ones((3, 4, 5), np.int16), affine)
    image = nib.load(path)
    image.set_qform(affine, 1)
    affine[1, 3] += shift * scale
    image.set_sform(affine, 2)
    image.header["xyzt_units"] = unit
    image.to_filename(tmp_path / "two.nii")
    volume = io.read(tmp_path / "two.nii")
    assert volume.affine[1, 3] == pytest.approx(shift)
    told = [text for text in volume.source.oddities if "sform and qform" in text]
    assert len(told) == bool(said)
    assert all(f"up to {said} apart" in text for text in told)


def test_what_a_qform_cannot_hold_is_no_second_place(tmp_path: Path) -> None:
    sheared = np.array([[1.0, 0, 0, 0], [0, 1, 1.5, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    volume = Volume.from_array(np.ones((64, 64, 30), np.float32), affine=sheared)
    assert not io.read(io.write(volume, tmp_path / "sheared.nii")).source.oddities
    # Nearly half a turn: single precision puts corners a third of a millimetre away.
    for seed in range(20):
        turn = Rotation.from_rotvec(np.random.default_rng(seed).normal(0, 1e-3, 3)).as_matrix()
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag([-1, -1, 1]) @ np.diag([0.3, 0.3, 1])
        image = nib.Nifti1Image(np.ones((512, 512, 4), np.uint8), affine)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        nib.save(image, tmp_path / "turned.nii")
        assert not io.read(tmp_path / "turned.nii").source.oddities


@pytest.mark.parametrize("damage", [np.inf, np.nan, 0.0])
def test_a_damaged_place_is_not_decomposed(damage: float) -> None:
    """Of what is not finite, LAPACK's singular values may never come."""
    header = nib.Nifti2Header()
    header.set_data_shape((3, 4, 5))
    header.set_qform(np.diag([2, 2, 2, 1]), 1)
    sform = np.diag([2.0, 2, 2, 1])
    sform[1, 1] = damage
    header.set_sform(sform, 1)
    assert mm_between_places(header) == 0


def test_a_damaged_second_place_is_no_hindrance(tmp_path: Path) -> None:
    path = save(tmp_path / "in.nii", np.ones((3, 4, 5), np.int16), qform_code=1, quatern_b=9)
    np.testing.assert_allclose(io.read(path).affine, SHEARED, atol=1e-6)


def test_one_volume_of_several_keeps_both_transforms(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.random.default_rng(0).random((3, 4, 5, 2), np.float32), None)
    scanner, standard = np.diag([2.0, 2, 3, 1]), np.diag([2.5, 2.25, 3.5, 1])
    scanner[:3, 3], standard[:3, 3] = [1, 2, 3], [-40, 5, 6]
    image.set_qform(scanner, 1)
    image.set_sform(standard, 4)
    nib.save(image, tmp_path / "in.nii")
    volume = io.read(tmp_path / "in.nii")
    first = Volume(volume.array[:1], volume.affine, source=volume.source)
    io.write(first, tmp_path / "out.nii")
    again = nib.load(tmp_path / "out.nii")
    assert again.shape == (3, 4, 5)
    for found, wanted in (
        (again.get_qform(coded=True), (scanner, 1)),
        (again.get_sform(coded=True), (standard, 4)),
    ):
        np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
        assert found[1] == wanted[1]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
def test_extensions_of_a_pair_come_along(tmp_path: Path, kind: type, order: str) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = kind(array, SHEARED, kind.header_class(endianness=order))
    texts = [b"a comment", b"another, which is longer"]
    for text in texts:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(6, text))
    nib.save(image, tmp_path / "in.hdr")
    volume = io.read(tmp_path / "in.hdr")
    assert volume.source.details()["extensions"]
    io.write(volume, tmp_path / "out.nii.gz")
    again = nib.load(tmp_path / "out.nii.gz")
    assert [bytes(one.get_content()).rstrip(b"\0") for one in again.header.extensions] == texts
    np.testing.assert_array_equal(np.asarray(again.dataobj), array)


def test_what_follows_the_header_of_a_pair_may_be_no_extension(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.save(nib.Nifti1Pair(array, SHEARED), tmp_path / "in.hdr")
    header = tmp_path / "in.hdr"
    for rest in (b"", bytes(4), bytes(4) + b"left over"):
        header.write_bytes(header.read_bytes()[:348] + rest)
        volume = io.read(header)
        assert not volume.source.details()["extensions"]
        io.write(volume, tmp_path / "out.nii", overwrite=True)
        np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii").dataobj), array)
