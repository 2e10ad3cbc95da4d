from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meddenoise import io
from meddenoise.errors import FileError
from meddenoise.io.named import path_of
from meddenoise.volume import Volume


def test_a_tilde_is_the_home_directory_or_a_part_of_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~") == tmp_path
    assert path_of("~/a.nii") == path_of(Path("~/a.nii")) == tmp_path / "a.nii"
    assert path_of("~no-such-user.nii") == Path("~no-such-user.nii")


def test_scans_whose_names_begin_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    io.write(Volume.from_array(np.ones((2, 3, 4))), "~backup.nii.gz")
    assert io.read("~backup.nii.gz").shape == (2, 3, 4)
    assert [scan.path for scan in io.list_scans("~backup.nii.gz")] == [Path("~backup.nii.gz")]


def test_an_empty_name_is_not_the_directory_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    io.write(Volume.from_array(np.ones((2, 3, 4))), "alone.nii.gz")
    for ask in (io.read, io.list_scans, path_of):
        with pytest.raises(FileError, match="An empty path"):
            ask("")
    assert io.read(".").shape == (2, 3, 4)
