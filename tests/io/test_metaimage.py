from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from meddenoise import io
from meddenoise.errors import FileError, GeometryError, InputError
from meddenoise.volume import Volume

TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
HEADER = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = {msb}\n"
    "Comment = kept as it is\nOffset = 1 2 3\nElementSpacing = 0.4 0.7 5\nDimSize = 3 4 5\n"
    "ElementType = MET_SHORT\nElementDataFile = {data}\n"
)


def write_itk(path: Path, array: np.ndarray, *, compress: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(array.T)
    image.SetSpacing((0.4, 0.7, 5.0)[: array.ndim] + (1.0,) * (array.ndim - 3))
    image.SetOrigin((10.0, -20.0, 30.0)[: array.ndim] + (0.0,) * (array.ndim - 3))
    if array.ndim == 3:
        image.SetDirection(TURN.ravel())
    sitk.WriteImage(image, str(path), useCompression=compress)
    return image


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("compress", [False, True])
def test_what_itk_writes_comes_back_as_it_was(tmp_path: Path, dtype: str, compress: bool) -> None:
    array = np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(dtype)
    image = write_itk(tmp_path / "in.mha", array, compress=compress)
    volume = io.read(tmp_path / "in.mha")
    np.testing.assert_array_equal(volume.array[0], array)
    assert volume.array.flags.writeable
    for index in [(0, 0, 0), (2, 3, 4)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], expected, atol=1e-9)
    io.write(volume, tmp_path / "out.mha")
    again = sitk.ReadImage(str(tmp_path / "out.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(again).T, array)
    assert again.GetPixelID() == image.GetPixelID()
    assert again.GetDirection() == pytest.approx(image.GetDirection())
    if not compress:
        assert (tmp_path / "out.mha").read_bytes() == (tmp_path / "in.mha").read_bytes()


def test_four_dimensions_become_channels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((3, 4, 5, 2)).astype(np.float32)
    image = sitk.JoinSeries([sitk.GetImageFromArray(array[..., n].T) for n in range(2)])
    sitk.WriteImage(image, str(tmp_path / "in.mha"))
    volume = io.read(tmp_path / "in.mha")
    np.testing.assert_array_equal(np.moveaxis(volume.array, 0, -1), array)
    io.write(volume, tmp_path / "out.mha")
    again = sitk.ReadImage(str(tmp_path / "out.mha"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("msb", [True, False])
def test_byte_order_and_comments_are_kept(tmp_path: Path, msb: bool) -> None:
    array = np.arange(60).reshape(3, 4, 5).astype(">i2" if msb else "<i2")
    raw = HEADER.format(msb=msb, data="LOCAL").encode() + array.tobytes(order="F")
    (tmp_path / "in.mha").write_bytes(raw)
    volume = io.read(tmp_path / "in.mha")
    np.testing.assert_array_equal(volume.array[0], array)
    io.write(volume, tmp_path / "out.mha")
    assert (tmp_path / "out.mha").read_bytes() == raw


def test_data_beside_the_header_is_read_and_written_as_one_file(tmp_path: Path) -> None:
    array = np.arange(60).reshape(3, 4, 5).astype("<i2")
    (tmp_path / "in.raw").write_bytes(array.tobytes(order="F"))
    for number in range(5):
        (tmp_path / f"s{number + 1:02}.raw").write_bytes(array[..., number].tobytes(order="F"))
    listed = "LIST\n" + "\n".join(f"s{n:02}.raw" for n in range(1, 6))
    for data in ("in.raw", "s%02d.raw 1 5 1", listed):
        (tmp_path / "in.mhd").write_text(HEADER.format(msb=False, data=data))
        volume = io.read(tmp_path / "in.mhd")
        np.testing.assert_array_equal(volume.array[0], array)
        io.write(volume, tmp_path / "out.mha", overwrite=True)
        again = sitk.ReadImage(str(tmp_path / "out.mha"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(again).T, array)


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[1, 2] = 0.5
    volume = Volume.from_array(np.ones((2, 2, 2)), affine=affine)
    with pytest.raises(GeometryError, match="sheared"):
        io.write(volume, tmp_path / "out.mha")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("DimSize = 3 4 5", "DimSize = 3 4", "no image"),
        ("DimSize = 3 4 5", "DimSize = 3 four 5", "numbers"),
        ("DimSize = 3 4 5", "DimSize = 8000 8000 8000", "claims"),
        ("MET_SHORT", "MET_OTHER", "MET_OTHER"),
        ("Offset = 1 2 3", "Offset = 1 2", "needs 3"),
        ("Offset = 1 2 3", "Offset = 1 2 nan", "finite"),
        ("Comment = kept as it is", "ElementNumberOfChannels = 3", "3 values a voxel"),
        ("ElementSpacing = 0.4 0.7 5", "ElementSpacing = 0 0 0", "singular"),
        ("ElementDataFile = LOCAL", "Nothing = LOCAL", "MetaImage header"),
        ("Comment = kept as it is", "CompressedData = True", "damaged"),
    ],
)
def test_senseless_headers_are_refused(tmp_path: Path, old: str, new: str, match: str) -> None:
    text = HEADER.format(msb=False, data="LOCAL")
    assert old in text
    data = np.arange(60).astype("<i2").tobytes()
    (tmp_path / "in.mha").write_bytes(text.replace(old, new).encode() + data)
    with pytest.raises(InputError, match=match):
        io.read(tmp_path / "in.mha")


def test_truncated_files_are_named(tmp_path: Path) -> None:
    write_itk(tmp_path / "in.mha", np.random.default_rng(0).random((9, 9, 9)), compress=True)
    raw = (tmp_path / "in.mha").read_bytes()
    (tmp_path / "in.mha").write_bytes(raw[:-300])
    with pytest.raises(FileError, match="truncated"):
        io.read(tmp_path / "in.mha")


@pytest.mark.parametrize(
    ("line", "match"),
    [("HeaderSize = 1e30", "out of the file"), ("NDims =", "finite numbers")],
)
def test_numbers_that_lead_nowhere_are_named(tmp_path: Path, line: str, match: str) -> None:
    text = HEADER.format(msb=False, data="LOCAL").replace("Comment = kept as it is", line)
    (tmp_path / "in.mha").write_bytes(text.encode() + np.arange(60).astype("<i2").tobytes())
    with pytest.raises(FileError, match=match):
        io.read(tmp_path / "in.mha")


def test_where_no_spacing_is_said_the_size_of_an_element_is_taken(tmp_path: Path) -> None:
    text = HEADER.format(msb=False, data="LOCAL").replace("ElementSpacing", "ElementSize")
    (tmp_path / "in.mha").write_bytes(text.encode() + np.arange(60).astype("<i2").tobytes())
    assert io.read(tmp_path / "in.mha").spacing == pytest.approx((0.4, 0.7, 5))
    assert sitk.ReadImage(str(tmp_path / "in.mha")).GetSpacing() == pytest.approx((0.4, 0.7, 5))


def test_no_damage_to_compressed_voxels_goes_unnoticed(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, 60).astype("<i2").tobytes()
    packed = zlib.compress(voxels)
    line = f"CompressedData = True\nCompressedDataSize = {len(packed)}"
    text = HEADER.format(msb=False, data="LOCAL").replace("Comment = kept as it is", line)
    path = tmp_path / "in.mha"
    path.write_bytes(text.encode() + packed + b"more")
    np.testing.assert_array_equal(io.read(path).array.ravel("F"), np.frombuffer(voxels, "<i2"))
    path.write_bytes(text.encode() + packed[:-1])
    with pytest.raises(FileError, match="checksum"):
        io.read(path)
    for at in range(2, len(packed)):
        harmed = bytearray(packed)
        harmed[at] ^= 1
        path.write_bytes(text.encode() + harmed)
        with pytest.raises(FileError, match=r"damaged|truncated"):
            io.read(path)


def test_what_is_packed_behind_the_header_says_its_size(tmp_path: Path) -> None:
    """Beside the header it need not, and ITK reads noise, or nothing, where it is missing."""
    array = np.random.default_rng(0).integers(-100, 100, (3, 4, 5)).astype("<i2")
    text = HEADER.format(msb="False", data="voxels.zraw")
    text = text.replace("Offset", "CompressedData = True\nOffset")
    (tmp_path / "in.mhd").write_text(text)
    (tmp_path / "voxels.zraw").write_bytes(zlib.compress(array.tobytes(order="F")))
    io.write(io.read(tmp_path / "in.mhd"), tmp_path / "out.mha")
    assert (tmp_path / "out.mha").read_bytes().count(b"CompressedDataSize = ") == 1
    again = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.mha")))
    np.testing.assert_array_equal(again.T, array)
