from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from meddenoise import io
from meddenoise.io.dicom.copying import copied

WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def with_words(ds: Dataset, order: str) -> None:
    """Words of every size, an overlay and a table in an item, numbers of other kinds."""
    block = ds.private_block(0x0099, "TEST", create=True)
    for number, (vr, size) in enumerate(WORDS.items()):
        block.add_new(number, vr, np.arange(4, dtype=f"{order}u{size}").tobytes())
    block.add_new(16, "US", [513, 3])
    block.add_new(17, "OB", b"abcd")
    ds.add_new(0x60003000, "OW", np.arange(6, dtype=f"{order}u2").tobytes())
    item = Dataset()
    item.LUTDescriptor = [4, 0, 16]
    item.add_new(0x00283006, "OW", np.array([1, 2, 3, 0x1234], f"{order}u2").tobytes())
    ds.VOILUTSequence = [item]


def told(ds: Dataset) -> dict[int, Any]:
    (item,) = ds.VOILUTSequence
    private = {element.tag: element.value for element in ds if element.tag.group == 0x0099}
    return {**private, 1: ds[0x60003000].value, 2: item[0x00283006].value, 3: item.LUTDescriptor}


@pytest.fixture
def both(make_series: Callable[..., Path], ramp: np.ndarray) -> dict[str, Path]:
    """The same series in little and in big endian."""
    places = {order: make_series(ramp, name=order) for order in "<>"}
    for order, place in places.items():
        for path in place.iterdir():
            ds = pydicom.dcmread(path)
            ds.PixelData = ds.pixel_array.astype(f"{order}u2").tobytes()
            with_words(ds, order)
            if order == ">":
                ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
            pydicom.dcmwrite(path, ds, little_endian=order == "<", implicit_vr=False)
    return places


def test_words_of_a_big_endian_source_are_turned(both: dict[str, Path], tmp_path: Path) -> None:
    found = []
    for name, place in both.items():
        out = io.write(io.read(place), tmp_path / f"out{name}", keep_private=True)
        written = pydicom.dcmread(out / "IM0001.dcm")
        assert written.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        found.append(told(written))
    assert found[0][2] == b"\1\0\2\0\3\0\x34\x12"
    assert found[1] == found[0]


def test_a_copy_of_a_copy_is_not_turned_back(both: dict[str, Path]) -> None:
    source = pydicom.dcmread(next(both[">"].iterdir()))
    before = told(pydicom.dcmread(source.filename))
    once = copied(source, keep_private=True)
    assert told(copied(once, keep_private=True)) == told(once)
    assert told(source) == before
