from __future__ import annotations

from pathlib import Path

import pytest

from meddenoise.errors import FileError
from meddenoise.io.detached import data_files_beside


@pytest.fixture
def header(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.raw").write_bytes(b"secret")
    (tmp_path / "data" / "voxels.raw").write_bytes(b"1")
    (tmp_path / "data" / "two words.raw").write_bytes(b"1")
    (tmp_path / "data" / "link.raw").symlink_to(tmp_path / "secret.raw")
    return tmp_path / "data" / "image.mhd"


@pytest.mark.parametrize("name", ["voxels.raw", "./voxels.raw", "two words.raw"])
def test_a_plain_name_is_opened(header: Path, name: str) -> None:
    assert data_files_beside(header, name, [], 3)[0].parent == header.parent


@pytest.mark.parametrize(
    "name",
    ["../secret.raw", "/etc/passwd", "sub/voxels.raw", "..", "http://host/voxels.raw",
     "C:\\voxels.raw", "link.raw", "missing.raw", "", ".", "a\0b"],
)  # fmt: skip
def test_nothing_else_is_opened(header: Path, name: str) -> None:
    with pytest.raises(FileError):
        data_files_beside(header, name, [], 3)
    with pytest.raises(FileError):
        data_files_beside(header, "LIST", [name], 3)


def test_patterns_cannot_lead_elsewhere_or_run_away(header: Path) -> None:
    for said in ("../secret%d.raw 1 2 1", "x%d.raw 1 999999999 1", "x%d.raw 1 9 0"):
        with pytest.raises(FileError):
            data_files_beside(header, said, [], 3)
