from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from meddenoise import io
from meddenoise.errors import FileError, OutputError
from meddenoise.volume import Volume


@pytest.mark.parametrize(("dtype", "top"), [("u1", 255), ("u2", 65535)])
def test_png_comes_back_as_it_was(tmp_path: Path, dtype: str, top: int) -> None:
    pixels = np.random.default_rng(0).integers(0, top, (4, 5), endpoint=True).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "in.png", dpi=(300, 300))
    volume = io.read(tmp_path / "in.png")
    assert volume.array.shape == (1, 5, 4)  # X counts columns
    np.testing.assert_array_equal(volume.array[0].T, pixels)
    io.write(volume, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as again:
        np.testing.assert_array_equal(np.asarray(again), pixels)
        assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_tiff_comes_back_as_it_was(tmp_path: Path, dtype: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 100, (4, 5)).astype(dtype)
    tifffile.imwrite(tmp_path / "in.tif", pixels, resolution=(72, 36), resolutionunit=2)
    volume = io.read(tmp_path / "in.tif")
    np.testing.assert_array_equal(volume.array[0].T, pixels)
    io.write(volume, tmp_path / "out.tif")
    again = tifffile.imread(tmp_path / "out.tif")
    assert again.dtype == pixels.dtype
    np.testing.assert_array_equal(again, pixels)
    assert io.read(tmp_path / "out.tif").source.dpi == (72, 36)


@pytest.mark.parametrize(("unit", "dpi"), [(1, None), (2, (10, 20)), (3, (25.4, 50.8))])
def test_tiff_keeps_the_unit_of_its_resolution(
    tmp_path: Path, unit: int, dpi: tuple[float, float] | None
) -> None:
    pixels = np.zeros((4, 5), np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", pixels, resolution=(10, 20), resolutionunit=unit)
    volume = io.read(tmp_path / "in.tif")
    assert volume.source.dpi == (None if dpi is None else pytest.approx(dpi))
    io.write(volume, tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as again:
        tags = again.pages[0].tags
        assert tags["ResolutionUnit"].value == unit
        assert [tags[name].value for name in ("XResolution", "YResolution")] == [(10, 1), (20, 1)]
        assert "ImageDescription" not in tags


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif"])
def test_what_ome_says_of_the_size_of_a_pixel_is_said_again(tmp_path: Path, name: str) -> None:
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "in.ome.tif", pixels, metadata={"axes": "YX", **sizes})
    io.write(io.read(tmp_path / "in.ome.tif"), tmp_path / name)
    with tifffile.TiffFile(tmp_path / name) as again:
        said = tifffile.xml2dict(again.ome_metadata)["OME"]["Image"]["Pixels"]
        np.testing.assert_array_equal(again.asarray(), pixels)
    assert {key: said[key] for key in sizes} == sizes


def test_a_tiff_whose_ome_xml_is_damaged_is_read(tmp_path: Path) -> None:
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    damaged = "<?xml version='1.0'?><OME><Image></OME>"
    tifffile.imwrite(tmp_path / "in.tif", pixels, description=damaged, metadata=None)
    volume = io.read(tmp_path / "in.tif")
    np.testing.assert_array_equal(volume.array[0].T, pixels)


@pytest.mark.parametrize("unit", ["um", "µm"])
@pytest.mark.parametrize("dtype", ["same", "float32"])
def test_imagej_knows_the_size_of_a_pixel_again(tmp_path: Path, dtype: str, unit: str) -> None:
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    tifffile.imwrite(
        tmp_path / "in.tif", pixels, resolution=(12.5, 12.5), resolutionunit=1, metadata=None,
        description=f"ImageJ=1.54f\nunit={unit}\n".encode(),
    )  # fmt: skip
    io.write(io.read(tmp_path / "in.tif"), tmp_path / "out.tif", dtype=dtype)
    with tifffile.TiffFile(tmp_path / "out.tif") as again:
        assert again.is_imagej
        assert again.imagej_metadata["unit"] == unit
        assert again.pages[0].resolution == (12.5, 12.5)
        np.testing.assert_array_equal(again.asarray(), pixels)


def test_white_is_zero_is_not_inverted(tmp_path: Path) -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="miniswhite")
    volume = io.read(tmp_path / "in.tif")
    np.testing.assert_array_equal(volume.array[0].T, pixels)
    io.write(volume, tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as again:
        assert again.pages[0].photometric == 0
        np.testing.assert_array_equal(again.asarray(), pixels)


def test_lzw_tiff_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(io.read(tmp_path / "in.tif").array[0].T, pixels)


def test_jpeg_comes_in_and_does_not_go_out(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "in.jpg")
    volume = io.read(tmp_path / "in.jpg")
    assert volume.source.oddities
    assert io.extension_for(volume) == ".png"
    with pytest.raises(OutputError, match="JPEG"):
        io.write(volume, tmp_path / "out.jpg")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1", "CMYK"])
def test_what_is_not_grey_is_refused_by_name(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("in.tif" if mode == "CMYK" else "in.png")
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(FileError, match="convert it to grey first"):
        io.read(path)


def test_stacks_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    with pytest.raises(FileError, match="3 pages"):
        io.read(tmp_path / "in.tif")
    volume = Volume.from_array(np.zeros((4, 5, 3)))
    with pytest.raises(OutputError, match="one 2-D picture"):
        io.write(volume, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_floats_go_to_tiff(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "in.png")
    volume = io.read(tmp_path / "in.png")
    noisy = volume.with_array(volume.array - 7.25)
    io.write(noisy, tmp_path / "out.tif", dtype="float32")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), np.float32(-0.25))
    with pytest.warns(io.ClippingWarning):
        io.write(volume.with_array(volume.array - 8), tmp_path / "out.png", dtype="float32")


@pytest.mark.parametrize("name", ["in.png", "in.tif", "in.jpg"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / name)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(FileError, match=name):
        io.read(tmp_path / name)


def test_one_slice_volumes_fit_a_picture(tmp_path: Path) -> None:
    array = np.arange(20, dtype=np.float32).reshape(4, 5, 1)
    io.write(Volume.from_array(array), tmp_path / "out.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), array[..., 0].T)


@pytest.mark.parametrize("name", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "f4"])
def test_compressed_tiff_gives_what_is_stored(tmp_path: Path, name: str, kind: str) -> None:
    pixels = (np.arange(40 * 30).reshape(30, 40) % 251).astype(kind)
    if kind == "i2":
        tifffile.imwrite(tmp_path / "plain.tif", pixels - 7, photometric="minisblack")
        Image.open(tmp_path / "plain.tif").save(tmp_path / "in.tif", compression=name)
        pixels = pixels - 7
    else:
        Image.fromarray(pixels).save(tmp_path / "in.tif", compression=name)
    volume = io.read(tmp_path / "in.tif")
    np.testing.assert_array_equal(volume.array[0].T, pixels)


def test_damage_to_a_compressed_tiff_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.tif", compression="tiff_lzw")
    raw = bytearray((tmp_path / "in.tif").read_bytes())
    raw[100:200] = b"\xff" * 100
    (tmp_path / "in.tif").write_bytes(raw)
    with pytest.raises(FileError, match="damaged"):
        io.read(tmp_path / "in.tif")
    assert capfd.readouterr() == ("", "")


def test_claims_beyond_the_file_take_no_memory(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "in.png")
    raw = bytearray((tmp_path / "in.png").read_bytes())
    raw[16:24] = struct.pack(">II", 9000, 9000)
    raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    (tmp_path / "in.png").write_bytes(raw)
    with pytest.raises(FileError, match="81,000,000 bytes"):
        io.read(tmp_path / "in.png")
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((8, 8), np.uint8), metadata=None)
    with tifffile.TiffFile(tmp_path / "in.tif") as file:
        place = file.pages[0].tags["StripByteCounts"].valueoffset
    raw = bytearray((tmp_path / "in.tif").read_bytes())
    raw[place : place + 4] = b"\xff" * 4
    (tmp_path / "in.tif").write_bytes(raw)
    with pytest.raises(FileError, match="truncated or damaged"):
        io.read(tmp_path / "in.tif")


def test_fractions_that_a_png_cannot_hold_are_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((8, 9)).astype(np.float32)
    tifffile.imwrite(tmp_path / "in.tif", values)
    volume = io.read(tmp_path / "in.tif")
    with pytest.raises(OutputError, match=r"from 0\.\d+ to 0\.9\d+ .*\.tif"):
        io.write(volume, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
    io.write(volume.with_array(volume.array * 1000), tmp_path / "out.png")
    io.write(volume.with_array(np.rint(volume.array)), tmp_path / "mask.png")
    np.testing.assert_array_equal(io.read(tmp_path / "mask.png").array, np.rint(volume.array))


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("name", ["raw.tif", "tiff_lzw.tif", "in.png", "in.jpg"])
def test_a_picture_is_turned_as_it_was_before(tmp_path: Path, name: str, turned: int) -> None:
    exif = Image.Exif()
    exif[274] = turned
    options = {"compression": name[:-4]} if name.endswith(".tif") else {}
    pixels = np.arange(600).reshape(20, 30).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / name, exif=exif, **options)
    volume = io.read(tmp_path / name)
    assert volume.shape == (30, 20)
    if name != "in.jpg":
        np.testing.assert_array_equal(volume.array[0].T, pixels)
    assert any("turn" in oddity for oddity in volume.source.oddities) == (turned != 1)
    out = tmp_path / f"out{io.extension_for(volume)}"
    io.write(volume, out)
    with Image.open(out) as again:
        assert again.getexif().get(274, 1) == turned
    assert io.read(out).shape == (30, 20)


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_lzw"])
def test_floats_behind_their_own_predictor_are_read(tmp_path: Path, compression: str) -> None:
    pixels = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    Image.fromarray(pixels).save(tmp_path / "in.tif", compression=compression, tiffinfo={317: 3})
    np.testing.assert_array_equal(io.read(tmp_path / "in.tif").array[0].T, pixels)


@pytest.mark.parametrize("bits", [10, 12, 24])
def test_pixels_of_odd_bits_are_refused_by_name(tmp_path: Path, bits: int) -> None:
    """They are not damaged, though no codec for them is there."""
    data = bytes(16 * bits // 8)
    tags = [(256, 4), (257, 4), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4),
            (279, len(data))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    start = struct.pack("<4sI", b"II*\0", 8 + len(data))
    path = tmp_path / "in.tif"
    path.write_bytes(start + data + struct.pack("<H", len(tags)) + entries + bytes(4))
    with pytest.raises(FileError, match=rf"holds {bits} bits a pixel.*save it with") as caught:
        io.read(path)
    assert type(caught.value) is FileError


def test_the_rules_for_warnings_are_the_caller_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow only warns of pictures of so many pixels; a scan that claims them is not believed."""
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "a.png")
    io.read(tmp_path / "a.png")
    before = [*warnings.filters]
    for _ in range(5):
        io.read(tmp_path / "a.png")
    assert warnings.filters == before
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.raises(
        FileError, match=r"claims more pixels than are believed: 12, and at most 11"
    ):
        io.read(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert io.read(tmp_path / "a.png").shape == (4, 3)
