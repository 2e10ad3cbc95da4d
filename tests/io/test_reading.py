from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meddenoise import io
from meddenoise.errors import AmbiguousInput, FileError, InputError
from meddenoise.volume import Volume


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("missing.nii.gz", None, "no such file"),
        ("empty.nii.gz", b"", "is empty"),
        ("text.nii.gz", b"this is a text\n" * 50, "no scan although it is called"),
        ("text.nrrd", b"this is a text\n" * 50, "no scan although it is called"),
        ("random.dcm", bytes(range(256)) * 8, "no scan although it is called"),
        ("notes.txt", b"hello", "no scan in a format"),
    ],
)
def test_what_is_no_scan_is_named(
    tmp_path: Path, name: str, content: bytes | None, match: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=match) as caught:
        io.read(tmp_path / name)
    assert name in str(caught.value)


def test_directories(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds no scan"):
        io.read(tmp_path)
    volume = Volume.from_array(np.ones((2, 2, 2)))
    io.write(volume, tmp_path / "one.nii")
    assert io.read(tmp_path).shape == (2, 2, 2)
    io.write(volume, tmp_path / "two.nii")
    with pytest.raises(AmbiguousInput, match=r"one\.nii, two\.nii"):
        io.read(tmp_path)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    io.write(Volume.from_array(np.ones((2, 3, 4))), tmp_path / "real.nii")
    (tmp_path / "real.nii").rename(tmp_path / "wrong.dcm")
    assert io.read(tmp_path / "wrong.dcm").shape == (2, 3, 4)
    with pytest.raises(FileError, match="not DICOM"):
        io.read(tmp_path / "wrong.dcm", series="1.2")


def test_importing_is_cheap() -> None:
    """None of the heavy libraries, nor those of single formats, before a file needs them."""
    script = "import sys, meddenoise.io; print(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    loaded = set(run.stdout.split())
    heavy = {"torch", "monai", "SimpleITK", "nibabel", "pydicom", "nrrd", "tifffile", "PIL"}
    assert not loaded & heavy


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    place = tmp_path_factory.mktemp("seeds")
    rng = np.random.default_rng(0)
    volume = Volume.from_array(rng.integers(0, 200, (6, 5, 4)).astype(np.float32))
    picture = Volume.from_array(rng.integers(0, 200, (6, 5)).astype(np.float32))
    made = {}
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha"):
        made[name] = io.write(volume, place / name).read_bytes()
    for name in ("a.png", "a.tif"):
        made[name] = io.write(picture, place / name).read_bytes()
    return made


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.png", "a.tif"])
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_change_of_bytes_gives_a_volume_or_one_of_our_errors(
    seeds: dict[str, bytes], tmp_path: Path, name: str, data: st.DataObject
) -> None:
    raw = bytearray(seeds[name])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, min(len(raw), 400) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw))) :]
    (tmp_path / name).write_bytes(raw)
    outcome: Volume | InputError
    try:
        outcome = io.read(tmp_path / name)
    except InputError as error:
        outcome = error
    assert isinstance(outcome, Volume) or name in str(outcome)
