from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.errors import OutputError
from meddenoise.io import list_scans, read, write
from meddenoise.volume import Volume


class Reader:
    """Reads a file, and counts how often."""

    def __init__(self, file: Path) -> None:
        self.file, self.times = file, 0

    def __call__(self) -> Volume:
        self.times += 1
        return read(self.file)


def cached(directory: Path, file: Path, reader: Reader, units: str = "") -> Volume:
    (scan,) = list_scans(file)
    return VoxelCache(directory).decoded(scan, units, reader)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    array = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    array[0, 0, 0] = np.nan
    return write(Volume.from_array(array, spacing=(1, 2, 3)), tmp_path / "scan.nii.gz")


def test_a_scan_is_decoded_once_and_is_the_same(tmp_path: Path, file: Path) -> None:
    reader, direct = Reader(file), read(file)
    for _ in range(2):
        volume = cached(tmp_path / "cache", file, reader)
        assert np.array_equal(volume.array, direct.array, equal_nan=True)
        assert volume.array.dtype == direct.array.dtype
        assert np.array_equal(volume.affine, direct.affine)
        assert (volume.units, volume.modality) == (direct.units, direct.modality)
        assert volume.padding is None
        assert volume.source is None
    assert reader.times == 1
    cached(tmp_path / "cache", file, reader, units="HU")
    assert reader.times == 2  # other units are another scan


def test_padding_and_double_precision_are_kept(tmp_path: Path, file: Path) -> None:
    array = np.random.default_rng(0).normal(size=(1, 4, 5)) + 2**30
    volume = Volume(array, np.eye(4), "HU", "CT", padding=array > 2**30, history=("a line",))
    (scan,) = list_scans(file)
    for _ in range(2):
        found = VoxelCache(tmp_path / "cache").decoded(scan, "", lambda: volume)
        assert found.array.dtype == np.float64
        assert np.array_equal(found.array, array)
        assert found.padding is not None
        assert np.array_equal(found.padding, array > 2**30)
        assert (found.units, found.modality, found.history) == ("HU", "CT", ("a line",))


def test_a_file_that_changed_is_read_anew(tmp_path: Path, file: Path) -> None:
    reader = Reader(file)
    cached(tmp_path / "cache", file, reader)
    write(Volume.from_array(np.ones((5, 6, 7))), file, overwrite=True)
    assert cached(tmp_path / "cache", file, reader).array.max() == 1
    assert reader.times == 2


def flipped(entry: Path) -> None:
    content = bytearray((entry / "voxels.bin").read_bytes())
    content[100] ^= 255
    (entry / "voxels.bin").write_bytes(content)


def cut_short(entry: Path) -> None:
    (entry / "voxels.bin").write_bytes((entry / "voxels.bin").read_bytes()[:-4])


def nonsense(entry: Path) -> None:
    (entry / "about.json").write_text("{]")


def other_version(entry: Path) -> None:
    about = json.loads((entry / "about.json").read_text())
    (entry / "about.json").write_text(json.dumps({**about, "version": 0}))


def half_gone(entry: Path) -> None:
    (entry / "voxels.bin").unlink()


@pytest.mark.parametrize("damage", [flipped, cut_short, nonsense, other_version, half_gone])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, file: Path, damage: object) -> None:
    reader = Reader(file)
    cached(tmp_path / "cache", file, reader)
    (entry,) = (tmp_path / "cache").iterdir()
    damage(entry)  # type: ignore[operator]
    again = cached(tmp_path / "cache", file, reader)
    assert reader.times == 2
    assert np.array_equal(again.array, read(file).array, equal_nan=True)
    cached(tmp_path / "cache", file, reader)
    assert reader.times == 2  # and is whole again


def test_an_entry_that_goes_while_it_is_opened_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process replaces it after its size was measured."""
    cache, given = VoxelCache(tmp_path / "cache"), np.arange(6, dtype=np.float32)
    cache.array(given)
    opened, gone = torch.from_file, []

    def late(name: str, **options: Any) -> torch.Tensor:
        if not gone:
            gone.append(name)
            Path(name).unlink()
        return opened(name, **options)

    monkeypatch.setattr("torch.from_file", late)
    assert np.array_equal(cache.array(given), given)
    assert gone


def test_changing_an_array_does_not_change_the_file(tmp_path: Path) -> None:
    cache = VoxelCache(tmp_path / "cache")
    given = np.arange(6, dtype=np.float32)
    cache.array(given)[:] = 0
    assert np.array_equal(cache.array(given), given)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_arrays_outlive_the_cache(tmp_path: Path) -> None:
    cache = VoxelCache(tmp_path / "cache")
    kept = cache.array(np.arange(6).reshape(2, 3) > 2)
    cache.clear()
    assert not (tmp_path / "cache").exists()
    assert kept.tolist() == [[False] * 3, [True] * 3]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    import os
    import time

    old, young = (tmp_path / f".0000000{n}.part-x" for n in (1, 2))
    for part in (old, young):
        part.mkdir()
    os.utime(old, (time.time() - 10**6,) * 2)
    VoxelCache(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="cache"):
        VoxelCache(tmp_path / "cache").array(np.ones(3, np.float32))


MANY = """
import sys
import numpy as np
from pathlib import Path
from meddenoise.data.voxel_cache import VoxelCache

cache = VoxelCache(Path(sys.argv[1]))
for number in range(40):
    array = np.full((50, 40), number, np.float32)
    assert np.array_equal(cache.array(array), array)
    if number % 4 == int(sys.argv[2]):  # some of them damage entries of the others
        for entry in list(Path(sys.argv[1]).glob("[0-9a-f]*"))[:2]:
            (entry / "about.json").unlink(missing_ok=True)
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path / "cache"), str(n)])
        for n in range(3)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert not list((tmp_path / "cache").glob(".*"))
