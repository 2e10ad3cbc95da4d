from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meddenoise import io
from meddenoise.errors import FileError
from meddenoise.io import isolated


@pytest.fixture
def compressed(make_series: Callable[..., Path], tmp_path: Path) -> Path:
    """Two slices in JPEG 2000."""
    voxels = np.random.default_rng(0).integers(0, 4096, (2, 40, 48)).astype(np.uint16)
    return io.write(io.read(make_series(voxels)), tmp_path / "packed", compress="jpeg2000")


def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    (tmp_path / "worker.py").write_text(script)
    monkeypatch.setattr(isolated, "_WORKER", tmp_path / "worker.py")


@pytest.mark.parametrize(
    "script",
    [
        "import os; os.abort()",
        "import sys; sys.stdin.readline(); import os; os.abort()",
        "print('not JSON', flush=True)",
        "import sys; sys.stdin.readline(); "
        'print(\'{"dtype": "<u2", "shape": [40, 48]}\', flush=True)',
    ],
)
def test_a_crash_of_a_codec_is_an_error_that_names_the_file(
    compressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    worker(monkeypatch, tmp_path, script)
    with pytest.raises(FileError, match=r"IM000\d\.dcm is damaged: the codec crashes"):
        io.read(compressed)


def test_a_codec_that_hangs_is_stopped(
    compressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(monkeypatch, tmp_path, "import time; time.sleep(600)")
    monkeypatch.setattr(isolated, "_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(FileError, match="the codec does not end"):
        io.read(compressed)
    assert time.monotonic() - started < 30


def test_more_than_was_claimed_is_not_taken(
    compressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(monkeypatch, tmp_path, "import sys; sys.stdin.readline(); "
           "print('{\"dtype\": \"<u2\", \"shape\": [99999, 99999]}', flush=True)")  # fmt: skip
    with pytest.raises(FileError, match="are claimed, and decoded"):
        io.read(compressed)


def test_a_stream_larger_than_its_header_says_takes_no_memory(compressed: Path) -> None:
    path = compressed / "IM0001.dcm"
    raw = bytearray(path.read_bytes())
    start = raw.index(b"\xff\x51")  # JPEG 2000's image and tile size
    assert struct.unpack(">II", raw[start + 6 : start + 14]) == (48, 40)
    raw[start + 6 : start + 14] = struct.pack(">II", 60000, 60000)
    raw[start + 22 : start + 30] = struct.pack(">II", 60000, 60000)
    path.write_bytes(raw)
    with pytest.raises(FileError, match=r"IM0001\.dcm"):
        io.read(compressed)


def test_no_process_is_left_behind(compressed: Path) -> None:
    io.read(compressed)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("this system does not list child processes")
    for child in children.read_text().split():
        assert b"codec_worker" not in Path(f"/proc/{child}/cmdline").read_bytes()
