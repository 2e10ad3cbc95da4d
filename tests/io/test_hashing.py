from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from meddenoise.io import ScanFile, list_scans, write
from meddenoise.io.hashing import scan_hash
from meddenoise.volume import Volume


def scan(value: float = 1.0) -> Volume:
    return Volume.from_array(np.full((4, 5, 6), value, np.float32), modality="MR")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.nii"])
def test_it_changes_with_the_voxels_and_with_nothing_else(tmp_path: Path, name: str) -> None:
    one, same, other = (tmp_path / place / name for place in ("one", "same", "other"))
    for file, value in ((one, 1.0), (same, 1.0), (other, 2.0)):
        write(scan(value), file)
    hashes = [scan_hash(list_scans(file)[0]) for file in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0].startswith("sha256:")


def test_a_file_beside_counts_only_where_it_may_hold_the_voxels(tmp_path: Path) -> None:
    write(scan(), tmp_path / "plain.nii")
    (tmp_path / "detached.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementType = MET_FLOAT\n"
        "ElementDataFile = voxels.raw\n"
    )
    (tmp_path / "voxels.raw").write_bytes(bytes(480))
    plain, detached = (list_scans(tmp_path / name)[0] for name in ("plain.nii", "detached.mhd"))
    before = scan_hash(plain), scan_hash(detached)
    (tmp_path / "voxels.raw").write_bytes(bytes(479) + b"1")
    assert scan_hash(plain) == before[0]
    assert scan_hash(detached) != before[1]


def test_dicom_is_all_files_of_the_directory_read_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("1.dcm", "below/2.dcm"):
        (tmp_path / name).write_bytes(b"one")
    found = ScanFile(tmp_path, "dicom", "1.2.3", Path("x"))
    known: dict[Path, str] = {}
    before = scan_hash(found, known)
    assert list(known) == [tmp_path]
    assert scan_hash(replace(found, series="1.2.4")) != before
    (tmp_path / "below/2.dcm").write_bytes(b"two")
    assert scan_hash(found, known) == before  # as it was when this run looked
    assert scan_hash(found) != before
