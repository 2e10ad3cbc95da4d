from __future__ import annotations

import gc
import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import DamagedScan
from meddenoise.io import binary
from meddenoise.io.planes import open_planes
from meddenoise.io.resumed import Resumed

CHANNELS, SHAPE = 12, (20, 22, 24)


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were unpacked, in one number."""
    count = [0]
    inner = gzip.GzipFile

    class Counting(inner):  # type: ignore[misc, valid-type]
        def read(self, size: int | None = -1) -> bytes:  # also by readinto
            data: bytes = super().read(size)
            count[0] += len(data)
            return data

    monkeypatch.setattr(gzip, "GzipFile", Counting)
    return count


@pytest.fixture(params=["scan.nii.gz", "scan.nrrd"])
def series(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    array = np.random.default_rng(0).normal(100, 10, (CHANNELS, *SHAPE)).astype(np.float32)
    return md.write(md.Volume.from_array(array), tmp_path / request.param)


def test_each_volume_of_a_packed_series_is_unpacked_once(series: Path, unpacked: list[int]) -> None:
    whole = md.read(series).array
    unpacked[0] = 0
    scan = open_planes(series)
    assert scan is not None
    for channel in range(CHANNELS):
        for part, (original, _) in zip(scan.planes(channel), scan.originals(channel), strict=True):
            assert np.array_equal(part, original)
            assert np.array_equal(part, whole[channel])
    assert unpacked[0] < 2.1 * whole.nbytes  # two that read, and headers


def test_whoever_stops_at_the_last_plane_needs_no_more(series: Path, unpacked: list[int]) -> None:
    scan = open_planes(series)
    assert scan is not None
    unpacked[0] = 0
    for channel in range(CHANNELS):
        next(scan.planes(channel, 4, 20))
    assert unpacked[0] <= scan.head.array.nbytes * CHANNELS


def test_going_back_begins_anew(series: Path) -> None:
    whole = md.read(series).array
    scan = open_planes(series)
    assert scan is not None
    for channel, first, last in [(3, 5, 9), (3, 0, 24), (0, 2, 7), (11, 0, 24), (0, 0, 24)]:
        parts = np.concatenate([*scan.planes(channel, first, last)], axis=2)
        assert np.array_equal(parts, whole[channel, ..., first:last])


def opened(path: Path) -> int:
    """How often this process has a file open."""
    held = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            held += os.readlink(f"/proc/self/fd/{number}") == str(path)
        except OSError:
            continue  # that of the listing itself
    return held


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_few_files_stay_open_and_none_without_the_scan(series: Path) -> None:
    scan = open_planes(series)
    assert scan is not None
    together = [scan.planes(0) for _ in range(12)]
    for parts in together:
        next(parts)
    assert opened(series.resolve()) == 8
    unfinished = scan.planes(1, 0, 24)
    del parts, together, unfinished, scan
    gc.collect()
    assert opened(series.resolve()) == 0


def test_where_it_was_not_read_to_the_end_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "packed.gz"
    path.write_bytes(gzip.compress(bytes(range(200))))
    streams: list[BinaryIO] = []

    def begin() -> BinaryIO:
        streams.append(binary.open_maybe_gzip(path))
        return streams[-1]

    packed = Resumed(begin, 200, path)
    with pytest.raises(KeyboardInterrupt), packed.between(10, 20):
        raise KeyboardInterrupt
    assert streams[0].closed
    with packed.between(10, 20) as stream:
        assert stream.read(10) == bytes(range(10, 20))
    with packed.between(150, 200) as stream:
        assert stream.read(50) == bytes(range(150, 200))
    assert len(streams) == 2
    assert streams[1].closed  # there is nothing after it
    with pytest.raises(DamagedScan, match="truncated"), packed.between(300, 400):
        pass


def test_several_threads_each_have_their_own(series: Path) -> None:
    whole = md.read(series).array
    scan = open_planes(series)
    assert scan is not None
    wrong: list[int] = []

    def reading() -> None:
        for channel in range(CHANNELS):
            parts = np.concatenate([*scan.planes(channel)], axis=2)
            if not np.array_equal(parts, whole[channel]):
                wrong.append(channel)

    target: Callable[[], None] = reading
    threads = [threading.Thread(target=target) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_opens_files_of_its_own(series: Path) -> None:
    """It would share those of its parent, and where they stand."""
    whole = md.read(series).array
    scan = open_planes(series)
    assert scan is not None
    [*scan.planes(0)]
    child = os.fork()
    if child == 0:
        right = np.array_equal(np.concatenate([*scan.planes(5)], axis=2), whole[5])
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(np.concatenate([*scan.planes(1)], axis=2), whole[1])
