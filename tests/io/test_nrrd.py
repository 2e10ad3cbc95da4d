from __future__ import annotations

from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from meddenoise import io
from meddenoise.errors import FileError, GeometryError, InputError
from meddenoise.volume import Volume

DIRECTIONS = np.array([[0.4, 0.1, 0.0], [0.0, -0.7, 0.2], [0.3, 0.0, 5.0]])


def header_of(path: Path) -> bytes:
    return path.read_bytes().split(b"\n\n")[0]


def write_nrrd(path: Path, array: np.ndarray, **fields: object) -> Path:
    header = {
        "space": "left-posterior-superior",
        "space directions": DIRECTIONS,
        "space origin": np.array([10.0, -20, 30]),
        "kinds": ["domain"] * 3,
        **fields,
    }
    nrrd.write(str(path), array, header, index_order="F")
    return path


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_a_round_trip_keeps_header_and_voxels(tmp_path: Path, dtype: str, encoding: str) -> None:
    array = np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(dtype)
    fields = {
        "encoding": encoding,
        "measurement frame": np.eye(3) * -1,
        "my key": "my value",
        "space units": ["mm"] * 3,
    }
    path = write_nrrd(tmp_path / "in.nrrd", array, **fields)
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array[0], array)
    expected = np.diag([-1, -1, 1]) @ DIRECTIONS.T
    np.testing.assert_allclose(volume.affine[:3, :3], expected)
    np.testing.assert_allclose(volume.affine[:3, 3], [-10, 20, 30])
    io.write(volume, tmp_path / "out.nrrd")
    assert header_of(tmp_path / "out.nrrd") == header_of(path)
    np.testing.assert_array_equal(nrrd.read(str(tmp_path / "out.nrrd"))[0], array)


@pytest.mark.parametrize("axis", [0, 3])
def test_a_list_of_volumes_becomes_channels(tmp_path: Path, axis: int) -> None:
    array = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 5)).astype(np.int16)
    rows = [list(row) for row in DIRECTIONS]
    rows.insert(axis, [np.nan] * 3)
    kinds = ["domain"] * 3
    kinds.insert(axis, "list")
    path = write_nrrd(
        tmp_path / "in.nrrd", array, **{"space directions": np.array(rows), "kinds": kinds}
    )
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array, np.moveaxis(array, axis, 0))
    io.write(volume, tmp_path / "out.nrrd")
    assert header_of(tmp_path / "out.nrrd") == header_of(path)
    np.testing.assert_array_equal(nrrd.read(str(tmp_path / "out.nrrd"))[0], array)


@pytest.mark.parametrize("space", ["", "left-posterior-superior-time"])
def test_a_series_in_space_and_time_as_itk_writes_it(tmp_path: Path, space: str) -> None:
    values = np.random.default_rng(0).integers(0, 9, (5, 4, 3, 2)).astype(np.float32)
    images = [sitk.GetImageFromArray(volume) for volume in values]
    for image in images:
        image.SetSpacing((1, 2, 3))
        image.SetOrigin((5, 6, 7))
        image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    path = tmp_path / "in.nrrd"
    sitk.WriteImage(sitk.JoinSeries(images, 0.0, 2.5), str(path))
    if space:
        named = path.read_bytes().replace(b"space dimension: 4", b"space: " + space.encode())
        path.write_bytes(named)
    one = tmp_path / "one.nrrd"
    sitk.WriteImage(images[0], str(one))
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array, values.transpose(0, 3, 2, 1))
    np.testing.assert_array_equal(volume.affine, io.read(one).affine)
    assert any("no name" in oddity for oddity in volume.source.oddities) == (not space)
    io.write(volume.with_array(volume.array + 1), tmp_path / "out.nrrd")
    assert header_of(tmp_path / "out.nrrd") == header_of(path)
    np.testing.assert_array_equal(nrrd.read(str(tmp_path / "out.nrrd"))[0].T, values + 1)


@pytest.mark.parametrize(
    "directions",
    ["(1,0,0,1) (0,1,0,0) (0,0,1,0) (0,0,0,1)", "(1,0,0,0) (0,1,0,0) (0,0,1,0) (0,0,1,1)"],
)
def test_axes_that_run_through_space_and_time_at_once_are_refused(
    tmp_path: Path, directions: str
) -> None:
    path = tmp_path / "in.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 4\nspace dimension: 4\nsizes: 1 1 1 2\n"
        b"space directions: " + directions.encode() + b"\nencoding: raw\n\n\x00\x01"
    )
    with pytest.raises(FileError, match="4 of 4 axes lie in space"):
        io.read(path)


@pytest.mark.parametrize("space", ["RAS", "left-anterior-superior", "left-posterior-superior"])
def test_every_anatomical_space_means_the_same_to_itk(tmp_path: Path, space: str) -> None:
    orthogonal = np.array([[0.0, 0.4, 0], [-0.7, 0, 0], [0, 0, 5.0]])
    path = write_nrrd(
        tmp_path / "in.nrrd",
        np.zeros((3, 4, 5), np.int16),
        **{"space": space, "space directions": orthogonal},
    )
    image = sitk.ReadImage(str(path))
    volume = io.read(path)
    corner = volume.affine @ [2, 3, 4, 1]
    found = np.array(image.TransformIndexToPhysicalPoint((2, 3, 4))) * [-1, -1, 1]
    np.testing.assert_allclose(corner[:3], found, atol=1e-9)


def test_big_endian_stays_big_endian(tmp_path: Path) -> None:
    array = np.arange(60, dtype=">i2").reshape(3, 4, 5)
    text = (
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 3 4 5\nendian: big\nencoding: raw\n"
        b"space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
        b"space origin: (0,0,0)\n\n"
    )
    path = tmp_path / "in.nrrd"
    path.write_bytes(text + array.tobytes(order="F"))
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array[0], array)
    io.write(volume, tmp_path / "out.nrrd")
    assert (tmp_path / "out.nrrd").read_bytes() == path.read_bytes()


def test_a_detached_header_becomes_one_file(tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = tmp_path / "in.nhdr"
    write_nrrd(path, array, encoding="raw")
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array[0], array)
    assert len(volume.source.files) == 2
    assert io.extension_for(volume) == ".nrrd"
    io.write(volume, tmp_path / "out.nrrd")
    again, header = nrrd.read(str(tmp_path / "out.nrrd"))
    np.testing.assert_array_equal(again, array)
    assert "data file" not in header


def test_a_list_of_files_is_read(tmp_path: Path) -> None:
    array = np.arange(60, dtype="<i2").reshape(3, 4, 5)
    for number in range(5):
        (tmp_path / f"{number}.raw").write_bytes(array[..., number].tobytes(order="F"))
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 3 4 5\nendian: little\nencoding: raw\n"
    names = "\n".join(f"{number}.raw" for number in range(5))
    for said in (f"data file: LIST\n{names}\n", "data file: %d.raw 0 4 1\n\n"):
        (tmp_path / "in.nhdr").write_text(head + said)
        volume = io.read(tmp_path / "in.nhdr")
        np.testing.assert_array_equal(volume.array[0], array)
        io.write(volume, tmp_path / "out.nrrd", overwrite=True)
        np.testing.assert_array_equal(io.read(tmp_path / "out.nrrd").array[0], array)


def test_a_grid_from_another_format_is_written_for_itk(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 2.0, 5], [-0.4, 0, 0, 6], [0, 0.7, 0, 7], [0, 0, 0, 1]])
    array = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    io.write(Volume.from_array(array[0], affine=affine), tmp_path / "out.nrrd")
    image = sitk.ReadImage(str(tmp_path / "out.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, array[0])
    found = np.array(image.TransformIndexToPhysicalPoint((1, 2, 3))) * [-1, -1, 1]
    np.testing.assert_allclose(found, (affine @ [1, 2, 3, 1])[:3], atol=1e-9)
    io.write(Volume.from_array(array, affine=affine), tmp_path / "list.nrrd")
    again = io.read(tmp_path / "list.nrrd")
    np.testing.assert_array_equal(again.array, array)
    np.testing.assert_allclose(again.affine, affine)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b"kinds: domain domain domain", b"kinds: domain", "damaged|axes|lie"),
        (b"type: int16", b"type: block", "block"),
        (b"sizes: 3 4 5", b"sizes: 3 4 0", "no image"),
        (b"sizes: 3 4 5", b"sizes: 3000 4000 5000", "claims"),
        (b"sizes: 3 4 5", b"sizes: x y z", "damaged"),
        (b"encoding: gzip", b"encoding: magic", "encoding"),
        (b"endian: little", b"endian: middle", "byte order"),
        (b"(0.40000000000000002,", b"(nan,", "not in space"),
    ],
)
def test_senseless_headers_are_refused(tmp_path: Path, old: bytes, new: bytes, match: str) -> None:
    path = write_nrrd(tmp_path / "in.nrrd", np.zeros((3, 4, 5), np.int16))
    raw = path.read_bytes()
    assert old in raw, raw[:600]
    path.write_bytes(raw.replace(old, new))
    if b"kinds" in old:
        io.read(path)  # kinds are advice; the space directions decide
        return
    with pytest.raises(InputError, match=match):
        io.read(path)


def test_truncated_and_vector_files_are_refused(tmp_path: Path) -> None:
    path = write_nrrd(
        tmp_path / "in.nrrd", np.random.default_rng(0).integers(0, 9999, (9, 9, 9)).astype("i2")
    )
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileError, match="truncated"):
        io.read(path)
    rows = np.vstack([[np.nan] * 3, DIRECTIONS])
    kinds = ["RGB-color", "domain", "domain", "domain"]
    path = write_nrrd(
        tmp_path / "rgb.nrrd",
        np.zeros((3, 2, 2, 2), np.uint8),
        **{"space directions": rows, "kinds": kinds},
    )
    with pytest.raises(FileError, match="rgb-color"):
        io.read(path)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("skip", ["line skip", "byte skip"])
def test_skipping_more_than_there_is_ends_at_once(tmp_path: Path, encoding: str, skip: str) -> None:
    array = np.zeros((3, 4, 5), np.int16)
    nrrd.write(str(tmp_path / "in.nrrd"), array, {"encoding": encoding})
    raw = (tmp_path / "in.nrrd").read_bytes()
    lines = f"{skip}: 999999999999999999\n".encode()
    (tmp_path / "in.nrrd").write_bytes(raw.replace(b"encoding", lines + b"encoding", 1))
    with pytest.raises(FileError, match="truncated"):
        io.read(tmp_path / "in.nrrd")


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1), ("microns", 1e-3), ("um", 1e-3), ("nm", 1e-6), ("cm", 10)]
)
@pytest.mark.parametrize("placed", [True, False])
def test_lengths_are_in_the_unit_that_is_said(
    tmp_path: Path, unit: str, factor: float, placed: bool
) -> None:
    fields = {"space directions": np.diag([20.0, 30, 40]), "space units": [unit] * 3}
    if not placed:
        fields = {"spacings": [20.0, 30, 40], "units": [unit] * 3}
    nrrd.write(str(tmp_path / "in.nrrd"), np.ones((3, 4, 5), np.int16), {
        **({"space": "left-posterior-superior", "space origin": [0, 0, 0]} if placed else {}),
        **fields,
    })  # fmt: skip
    if unit == "nm":
        with pytest.raises(GeometryError):
            io.read(tmp_path / "in.nrrd")
        return
    volume = io.read(tmp_path / "in.nrrd")
    np.testing.assert_allclose(volume.spacing, np.array([20, 30, 40]) * factor)
    assert not any("unit" in oddity for oddity in volume.source.oddities)


def test_a_unit_that_is_not_known_is_said(tmp_path: Path) -> None:
    fields = {"space units": ["furlong", "furlong", "mm"]}
    path = write_nrrd(tmp_path / "in.nrrd", np.ones((3, 4, 5), np.int16), **fields)
    assert any("'furlong' is not known" in oddity for oddity in io.read(path).source.oddities)


@pytest.mark.parametrize(
    "lines",
    [
        ["axis mins: 10 -20 30"],
        ["axismins: 10 -20 30", "centerings: cell cell cell"],
        ["axis mins: 10 -20 30", "centers: node node node"],
        ["axis mins: 10 -20 30", "centers: cell node ???"],
        ["centers: node node node"],
        ["axis mins: 10 -20 30", "spacings: nan nan nan"],
    ],
)
def test_the_ends_of_axes_without_a_space_mean_the_same_to_itk(
    tmp_path: Path, lines: list[str]
) -> None:
    array = np.arange(60, dtype="<i2").reshape(3, 4, 5)
    head = ["NRRD0004", "type: short", "dimension: 3", "sizes: 3 4 5", *lines]
    if "spacings" not in lines[-1]:
        head.append("spacings: 1 2 4")
    text = "\n".join([*head, "endian: little", "encoding: raw", "", ""])
    path = tmp_path / "in.nrrd"
    path.write_bytes(text.encode() + array.tobytes(order="F"))
    volume = io.read(path)
    origin = np.array(sitk.ReadImage(str(path)).GetOrigin()) * [-1, -1, 1]
    np.testing.assert_allclose(volume.affine[:3, 3], origin)
    io.write(volume, tmp_path / "out.nrrd")
    assert (tmp_path / "out.nrrd").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "lines",
    [[], ["axis mins: 10 -20 30"], ["axis mins: 10 -20 30", "centers: node node node"]],
)
def test_a_spacing_below_0_runs_the_other_way_as_itk_has_it(
    tmp_path: Path, lines: list[str]
) -> None:
    array = np.arange(60, dtype="<i2").reshape(3, 4, 5)
    head = ["NRRD0004", "type: short", "dimension: 3", "sizes: 3 4 5", "spacings: -1.5 2 -4"]
    text = "\n".join([*head, *lines, "endian: little", "encoding: raw", "", ""])
    path = tmp_path / "in.nrrd"
    path.write_bytes(text.encode() + array.tobytes(order="F"))
    volume, itk = io.read(path), sitk.ReadImage(str(path))
    assert volume.spacing == itk.GetSpacing() == (1.5, 2, 4)
    for index in ([0, 0, 0], [2, 3, 4]):
        lps = itk.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], np.array(lps) * [-1, -1, 1])


def test_the_ends_of_axes_are_in_their_unit_and_may_not_be_stated(tmp_path: Path) -> None:
    fields = {"spacings": [1.0, 2, 4], "axis mins": [10.0, np.nan, -3], "units": ["cm"] * 3}
    nrrd.write(str(tmp_path / "in.nrrd"), np.ones((3, 4, 5), np.int16), fields)
    origin = io.read(tmp_path / "in.nrrd").affine[:3, 3]
    np.testing.assert_allclose(origin, [-105, 0, -10])


def test_fields_in_any_case_and_keys_called_like_fields(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    text = (
        "NRRD0005\nType: short\nDimension: 3\nSizes: 4 3 2\nEndian: little\nEncoding: raw\n"
        "Space: left-posterior-superior\nSpace Directions: (2,0,0) (0,1,0) (0,0,1)\n"
        "type:=scout\nspacings:=close\nspace origin:=unknown\n\n"
    )
    (tmp_path / "in.nrrd").write_bytes(text.encode() + array.tobytes())
    volume = io.read(tmp_path / "in.nrrd")
    np.testing.assert_array_equal(volume.array[0].T, array)
    assert volume.spacing == (2, 1, 1)
    io.write(volume, tmp_path / "out.nrrd")
    assert header_of(tmp_path / "out.nrrd") == header_of(tmp_path / "in.nrrd")


@pytest.mark.parametrize("endian", ["little", "big"])
def test_hexadecimal_voxels_are_read(tmp_path: Path, endian: str) -> None:
    array = np.random.default_rng(0).integers(-500, 500, (3, 4, 5)).astype("i2")
    digits = array.astype(">i2" if endian == "big" else "<i2").tobytes(order="F").hex()
    lines = "\n".join(digits[start : start + 36] for start in range(0, len(digits), 36))
    head = "NRRD0004\ntype: short\ndimension: 3\nsizes: 3 4 5\nencoding: hex\n"
    path = tmp_path / "in.nrrd"
    path.write_text(f"{head}endian: {endian}\n\n{lines}\n")
    volume = io.read(path)
    np.testing.assert_array_equal(volume.array[0], array)
    assert volume.array.flags.writeable
    np.testing.assert_array_equal(by_simpleitk(path), array)
    io.write(volume, tmp_path / "out.nrrd")
    np.testing.assert_array_equal(by_simpleitk(tmp_path / "out.nrrd"), array)


@pytest.mark.parametrize(("old", "new"), [("ff", ""), ("ff", "fg"), ("ff", "ffff"), ("ff", "f")])
def test_damaged_hexadecimal_voxels_are_named(tmp_path: Path, old: str, new: str) -> None:
    head = "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: hex\n\n"
    path = tmp_path / "in.nrrd"
    path.write_text(head + "00 01 02 ff".replace(old, new))
    with pytest.raises(FileError, match=r"in\.nrrd: .* (hexadecimal|there)"):
        io.read(path)


def by_simpleitk(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
