"""Damaged files give a volume or one of our errors: nothing else, and soon."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from meddenoise import io
from meddenoise.errors import InputError

CASES = 400


def encoded(path: Path, syntax: pydicom.uid.UID) -> bytes:
    ds = pydicom.dcmread(path)
    ds.private_block(0x29, "VENDOR", create=True).add_new(0x10, "OB", b"some bytes")
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "one"
    ds.ProcedureCodeSequence = Sequence([item])
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = ds.pixel_array.astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = syntax
    little = syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(path, ds, little_endian=little, implicit_vr=syntax.is_implicit_VR)
    return path.read_bytes()


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian,
     ExplicitVRBigEndian],
)  # fmt: skip
def test_damage_is_an_error_of_ours_or_harmless(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path, syntax: pydicom.uid.UID
) -> None:
    seed = encoded(make_series(ramp[:1]) / "0998", syntax)
    chance = random.Random(syntax)
    read = refused = 0
    told: list[str] = []
    started = time.monotonic()
    for number in range(CASES):
        raw = bytearray(seed)
        for _ in range(chance.choice([1, 2, 5, 20])):
            raw[chance.randrange(128, len(raw))] = chance.choice([0, 255, chance.randrange(256)])
        if chance.random() < 0.2:
            del raw[chance.randrange(len(raw)) :]
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                volume = io.read(path)
                io.write(volume, tmp_path / "out.dcm", overwrite=True)
                read += 1
            except InputError as error:
                refused += 1
                told.append(str(error))
        path.unlink()
    assert all(str(tmp_path) in message or "out.dcm" in message for message in told)
    assert read
    assert refused > CASES / 10
    assert time.monotonic() - started < 60
