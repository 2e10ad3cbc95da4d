from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import AmbiguousInput, DamagedScan, FileError, OutputError
from meddenoise.io import describe, list_scans
from meddenoise.io.ngff import reading, writing
from meddenoise.io.planes import open_planes

zarr = pytest.importorskip("zarr")

LPI = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
TURNED = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -7], [0, 0, 3, 2], [0, 0, 0, 1]])


def scan(*, channels: int = 1, affine: np.ndarray = LPI, **more: Any) -> md.Volume:
    array = np.random.default_rng(0).normal(100, 20, (channels, 30, 40, 70)).astype(np.float32)
    return md.Volume.from_array(array, affine=affine, **more)


def foreign(
    path: Path,
    *,
    version: str = "0.4",
    axes: str = "tczyx",
    unit: str | None = "micrometer",
    dtype: str = "u2",
    shape: tuple[int, ...] = (1, 2, 20, 24, 28),
    **more: Any,
) -> np.ndarray:
    """An image as microscopes have it, of two resolutions, by zarr alone; its voxels."""
    old = version == "0.4"
    kinds = {"t": "time", "c": "channel"}
    said: list[dict[str, Any]] = [{"name": n, "type": kinds.get(n, "space")} for n in axes]
    for axis in said:
        if axis["type"] == "space" and unit:
            axis["unit"] = unit
    scale = {"t": 1.0, "c": 1.0, "z": 2000.0, "y": 500.0, "x": 250.0}
    datasets = [
        {
            "path": f"s{level}",
            "coordinateTransformations": [
                {"type": "scale", "scale": [scale[n] * (1 + level) for n in axes]},
                {"type": "translation", "translation": [0.0 if n in "tc" else 100.0 for n in axes]},
            ],
        }
        for level in range(2)
    ]
    multiscale: dict[str, Any] = {"axes": said, "datasets": datasets, "name": "cells"}
    held = {"multiscales": [multiscale], "omero": {"channels": [{"label": "DAPI"}]}}
    attributes = held if old else {"ome": {**held, "version": version}}
    group = zarr.create_group(path, zarr_format=2 if old else 3, attributes=attributes)
    values = np.random.default_rng(1).integers(0, 60_000, shape).astype(dtype)
    chunks = tuple(max(1, n // 2) for n in shape)
    how = {"chunks": chunks, "dtype": dtype, **more}
    if old:
        how["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    group.create_array("s0", shape=shape, **how)[...] = values
    group.create_array("s1", shape=shape, **how)[...] = 0
    return values


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("affine", [LPI, TURNED])
def test_there_and_back_is_the_same(tmp_path: Path, channels: int, affine: np.ndarray) -> None:
    volume = scan(channels=channels, affine=affine, units="HU", modality="CT")
    for name in ("a.zarr", "b.ome.zarr"):
        volume = md.read(md.write(volume, tmp_path / name))
    assert np.array_equal(volume.array, scan(channels=channels).array)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-12)
    assert (volume.units, volume.modality) == ("HU", "CT")
    assert not describe(tmp_path / "b.ome.zarr")["oddities"]
    one, other = (json.loads((tmp_path / n / "zarr.json").read_text()) for n in ("a.zarr", name))
    assert one == other


def test_a_grid_along_the_axes_needs_nothing_of_ours(tmp_path: Path) -> None:
    told = json.loads((md.write(scan(), tmp_path / "a.zarr") / "zarr.json").read_text())
    assert set(told["attributes"]) == {"ome"}
    [image] = told["attributes"]["ome"]["multiscales"]
    assert [(axis["name"], axis["unit"]) for axis in image["axes"]] == [
        ("z", "millimeter"), ("y", "millimeter"), ("x", "millimeter")
    ]  # fmt: skip
    assert [axis["orientation"]["value"] for axis in image["axes"]] == [
        "inferior-to-superior", "posterior-to-anterior", "right-to-left"
    ]  # fmt: skip
    size, place = image["datasets"][0]["coordinateTransformations"]
    assert size == {"type": "scale", "scale": [2, 1, 1]}
    assert place == {"type": "translation", "translation": [-72, -126, -90]}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_a_store_says_is_kept(tmp_path: Path, version: str) -> None:
    values = foreign(tmp_path / "a.zarr", version=version)
    volume = md.read(tmp_path / "a.zarr")
    assert volume.array.shape == (2, 28, 24, 20)
    assert np.array_equal(volume.array[1], values[0, 1].transpose())
    assert volume.spacing == (0.25, 0.5, 2.0)
    # No orientation: LPS, as ITK has it.
    np.testing.assert_allclose(volume.affine[:3, 3], [-0.1, -0.1, 0.1])
    assert "taken for LPS" in describe(tmp_path / "a.zarr")["oddities"][0]
    made = md.write(volume.with_array(volume.array + 1), tmp_path / "b.zarr")
    again = md.read(made)
    assert np.array_equal(again.array, volume.array + 1)
    old, new = (zarr.open_group(tmp_path / name, mode="r") for name in ("a.zarr", "b.zarr"))
    before, after = (dict(group.attrs) for group in (old, new))
    images = [held.get("ome", held)["multiscales"][0] for held in (before, after)]
    assert images[1] == {**images[0], "datasets": images[0]["datasets"][:1]}
    assert list(new) == ["s0"]
    for what in ("dtype", "chunks", "shape", "compressors", "fill_value"):
        assert getattr(new["s0"], what) == getattr(old["s0"], what)
    assert new["s0"].metadata.zarr_format == (2 if version == "0.4" else 3)
    floats = md.write(volume, tmp_path / "c.zarr", dtype="float32")
    assert zarr.open_group(floats, mode="r")["s0"].dtype == np.float32


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_another_type_is_packed_likewise(tmp_path: Path, version: str) -> None:
    foreign(tmp_path / "a.zarr", version=version)
    volume = md.read(tmp_path / "a.zarr")
    md.write(volume, tmp_path / "b.zarr", dtype="float32")
    old, new = (zarr.open_array(tmp_path / name / "s0", mode="r") for name in ("a.zarr", "b.zarr"))
    assert (old.dtype, new.dtype) == (np.uint16, np.float32)
    assert np.array_equal(old[...], new[...])
    told = [
        {key: value for key, value in array.metadata.to_dict().items() if key in _PACKING}
        for array in (old, new)
    ]
    assert told[0] == told[1]


_PACKING = ("dimension_separator", "chunk_key_encoding", "compressor", "chunks", "chunk_grid")


def test_shards_and_any_order_of_axes(tmp_path: Path) -> None:
    values = foreign(
        tmp_path / "a.zarr", version="0.5", axes="xyz", shape=(8, 12, 16), shards=(8, 12, 16)
    )
    volume = md.read(tmp_path / "a.zarr")
    assert np.array_equal(volume.array[0], values)
    md.write(volume, tmp_path / "b.zarr")
    assert zarr.open_group(tmp_path / "b.zarr")["s0"].shards == (8, 12, 16)
    assert np.array_equal(md.read(tmp_path / "b.zarr").array, volume.array)
    picture = foreign(tmp_path / "c.zarr", axes="yx", shape=(20, 30), unit=None)
    flat = md.read(tmp_path / "c.zarr")
    assert np.array_equal(flat.array[0], picture.transpose())
    assert "No known unit of length along x, y" in " ".join(flat.source.oddities)  # type: ignore[union-attr]
    assert np.array_equal(md.read(md.write(flat, tmp_path / "d.zarr")).array, flat.array)


@pytest.mark.parametrize("held", [2**24, 30 * 40 * 5])
def test_planes_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """Also where the layers that are held are thinner than a chunk."""
    monkeypatch.setattr(reading, "_MOST_HELD", held)
    monkeypatch.setattr(writing, "_MOST_HELD", held)
    whole = scan(channels=2)
    opened = open_planes(md.write(whole, tmp_path / "a.zarr"))
    assert opened is not None
    for channel in range(2):
        found = np.concatenate([*opened.planes(channel)], axis=2)
        assert np.array_equal(found, whole.array[channel])
    assert np.array_equal(
        np.concatenate([*opened.planes(1, 33, 66)], 2), whole.array[1, ..., 33:66]
    )
    from meddenoise.io import write_report

    def planes() -> Any:
        for channel in range(2):
            yield from opened.planes(channel)

    for name in ("b.zarr", "b.nii"):
        write_report(opened.head, tmp_path / name, planes=planes())
        assert np.array_equal(md.read(tmp_path / name).array, whole.array)


def test_a_store_is_one_scan_of_a_directory(tmp_path: Path) -> None:
    md.write(scan(), tmp_path / "in" / "deep" / "a.zarr")
    md.write(scan(), tmp_path / "in" / "b.nii.gz")
    found = list_scans(tmp_path / "in")
    assert [(s.format, str(s.relative)) for s in found] == [
        ("nifti", "b.nii.gz"), ("zarr", "deep/a.zarr")
    ]  # fmt: skip
    assert md.read(tmp_path / "in" / "deep").shape == (30, 40, 70)
    assert [s.path for s in list_scans(tmp_path / "in" / "deep" / "a.zarr")] == [found[1].path]


def test_other_formats_get_the_grid(tmp_path: Path) -> None:
    md.write(scan(affine=TURNED), tmp_path / "a.nii.gz")
    md.write(md.read(tmp_path / "a.nii.gz"), tmp_path / "b.zarr")
    md.write(md.read(tmp_path / "b.zarr"), tmp_path / "c.nii.gz")
    one, other = md.read(tmp_path / "a.nii.gz"), md.read(tmp_path / "c.nii.gz")
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-5)
    assert np.array_equal(one.array, other.array)


def test_a_store_that_is_none_says_why(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "bare.zarr", shape=(4, 4, 4), dtype="f4")
    with pytest.raises(FileError, match="only OME-NGFF images"):
        md.read(tmp_path / "bare.zarr")
    group = zarr.create_group(tmp_path / "many.zarr")
    with pytest.raises(FileError, match="without an OME-NGFF image"):
        md.read(tmp_path / "many.zarr")
    group.create_group("0")
    with pytest.raises(AmbiguousInput, match="name the image in it, of 0"):
        md.read(tmp_path / "many.zarr")
    foreign(tmp_path / "two.zarr", shape=(2, 2, 4, 4, 4))
    with pytest.raises(FileError, match="2 times and 2 channels"):
        md.read(tmp_path / "two.zarr")
    foreign(tmp_path / "odd.zarr", axes="zyxc", shape=(4, 4, 4, 1))
    changed(tmp_path / "odd.zarr" / ".zattrs", '"c"', '"q"')
    with pytest.raises(FileError, match="axes z, y, x, q"):
        md.read(tmp_path / "odd.zarr")


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"s0"', '"../s0"', "outside of itself"),
        ('"s0"', '"s7"', "s7 is missing"),
        ("2000.0", "-1", "makes no sense"),
        ("2000.0", "NaN", "makes no sense"),
        ('"scale"', '"affine"', "makes no sense"),
        ("{", "", "damaged"),
    ],
)
def test_damaged_attributes(tmp_path: Path, old: str, new: str, told: str) -> None:
    foreign(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / ".zattrs"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DamagedScan, match=told):
        md.read(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])  # by Blosc, and by Zstandard
@pytest.mark.parametrize("left", [0, 10, -40])
def test_damaged_chunks(tmp_path: Path, version: str, left: int) -> None:
    foreign(tmp_path / "a.zarr", version=version)
    assert md.read(tmp_path / "a.zarr").channels == 2
    begins = "s0" if version == "0.4" else "s0/c"
    chunk = tmp_path / "a.zarr" / begins / "0" / "1" / "0" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:left])
    with pytest.raises(DamagedScan, match=r"is (damaged|truncated)"):
        md.read(tmp_path / "a.zarr")


def test_a_damaged_header_of_the_array(tmp_path: Path) -> None:
    foreign(tmp_path / "a.zarr")
    changed(tmp_path / "a.zarr" / "s0" / ".zarray", "[", "")
    with pytest.raises(DamagedScan, match="is damaged"):
        md.read(tmp_path / "a.zarr")


@pytest.mark.parametrize("value", [5, "blosc", {"id": "blosc"}])
def test_filters_that_are_no_list(tmp_path: Path, value: object) -> None:
    foreign(tmp_path / "a.zarr")
    header = tmp_path / "a.zarr" / "s0" / ".zarray"
    header.write_text(json.dumps({**json.loads(header.read_text()), "filters": value}))
    with pytest.raises(DamagedScan, match="is damaged"):
        md.read(tmp_path / "a.zarr")


@pytest.mark.parametrize("value", [["right-to-left"], {}, 5])
def test_a_direction_that_is_no_word(tmp_path: Path, value: object) -> None:
    foreign(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / ".zattrs"
    told = json.loads(path.read_text())
    for axis in told["multiscales"][0]["axes"]:
        axis["orientation"] = {"value": value}
    path.write_text(json.dumps(told))
    assert "taken for LPS" in " ".join(describe(tmp_path / "a.zarr")["oddities"])
    assert md.read(tmp_path / "a.zarr").channels == 2


@pytest.mark.parametrize("where", ["filters", "compressor"])
def test_a_codec_that_may_run_code_is_not_asked(tmp_path: Path, where: str) -> None:
    foreign(tmp_path / "a.zarr")
    header = tmp_path / "a.zarr" / "s0" / ".zarray"
    told = json.loads(header.read_text())
    told[where] = [{"id": "pickle"}] if where == "filters" else {"id": "pickle"}
    header.write_text(json.dumps(told))
    with pytest.raises(FileError, match="packed by pickle, which is not read"):
        md.read(tmp_path / "a.zarr")


def test_chunks_that_cannot_be_held_are_refused(tmp_path: Path) -> None:
    foreign(tmp_path / "a.zarr")
    header = tmp_path / "a.zarr" / "s0" / ".zarray"
    told = json.loads(header.read_text())
    told["chunks"] = [1, 1, 100_000, 100_000, 100_000]
    header.write_text(json.dumps(told))
    with pytest.raises(FileError, match="there is no memory for"):
        md.read(tmp_path / "a.zarr")


def test_nothing_is_left_of_what_cannot_be_written(tmp_path: Path) -> None:
    foreign(tmp_path / "a.zarr")
    volume = md.read(tmp_path / "a.zarr")
    nothing = np.full_like(volume.array, np.nan)
    with pytest.raises(OutputError, match="NaN"):
        md.write(volume.with_array(nothing), tmp_path / "b.zarr")
    with pytest.raises(OutputError, match="is the input"):
        md.write(volume, tmp_path / "a.zarr", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd", ".mha"])
def test_half_floats_become_floats_in_other_formats(tmp_path: Path, extension: str) -> None:
    foreign(tmp_path / "in.zarr", axes="zyx", shape=(6, 7, 8), dtype="f2")
    volume = md.read(tmp_path / "in.zarr")
    md.write(volume, tmp_path / "same.zarr")
    assert md.read(tmp_path / "same.zarr").source.storage.dtype == np.float16
    md.write(volume, tmp_path / f"out{extension}")
    again = md.read(tmp_path / f"out{extension}")
    assert again.source.storage.dtype == np.float32
    np.testing.assert_array_equal(again.array, volume.array)


def test_pictures_of_several_channels_do_not_become_slices(tmp_path: Path) -> None:
    foreign(tmp_path / "in.zarr", axes="cyx", shape=(2, 7, 8))
    volume = md.read(tmp_path / "in.zarr")
    assert volume.array.shape == (2, 8, 7)
    for extension in (".nii.gz", ".nrrd", ".mha"):
        again = md.read(md.write(volume, tmp_path / f"out{extension}"))
        np.testing.assert_array_equal(again.array.reshape(2, 8, 7), volume.array)
        assert again.channels == 2
