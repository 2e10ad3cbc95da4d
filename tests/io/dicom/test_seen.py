from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from meddenoise import io
from meddenoise.errors import FileError
from meddenoise.io.dicom import files

UIDS = ("1.2.3.1", "1.2.3.2", "1.2.3.3")


@pytest.fixture
def crowd(make_series: Callable[..., Path], ramp: np.ndarray) -> Path:
    """Three series of three files in one directory."""
    for number, uid in enumerate(UIDS):
        place = make_series(
            ramp + np.uint16(number),
            first=1 + 10 * number,
            SeriesInstanceUID=uid,
            SeriesNumber=number + 1,
        )
    return place


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is parsed."""
    seen: list[Path] = []
    parse = files.parse

    def noted(path: Path, *more: Any) -> Any:
        seen.append(path)
        return parse(path, *more)

    monkeypatch.setattr(files, "parse", noted)
    return seen


def test_a_file_is_parsed_for_its_own_series_alone(crowd: Path, parsed: list[Path]) -> None:
    scans = io.list_scans(crowd)
    assert len(parsed) == 9
    for number, scan in enumerate(scans):
        parsed.clear()
        volume = io.read(scan.path, series=scan.series)
        assert volume.array.min() == number
        assert len(parsed) == 3


def test_a_name_that_is_no_uid_is_looked_for_in_all(crowd: Path, parsed: list[Path]) -> None:
    io.list_scans(crowd)
    parsed.clear()
    assert io.read(crowd, series="2").array.min() == 1
    assert len(parsed) == 9
    with pytest.raises(
        FileError, match=r"holds no series '9\.9'(.|\n)*1\.2\.3\.1(.|\n)*1\.2\.3\.3"
    ):
        io.read(crowd, series="9.9")


def test_a_file_that_has_changed_is_looked_at_again(crowd: Path) -> None:
    io.list_scans(crowd)
    found = [(path, pydicom.dcmread(path)) for path in sorted(crowd.iterdir(), reverse=True)]
    places = [np.array(ds.ImagePositionPatient) for _, ds in found]
    path, ds = found[-1]
    ds.SeriesInstanceUID = UIDS[0]
    ds.ImagePositionPatient = [*(places[2] + (places[1] - places[0]))]  # the next slice
    pydicom.dcmwrite(path, ds)
    assert io.read(crowd, series=UIDS[0]).shape[2] == 4


def test_a_damaged_file_is_never_passed_over(crowd: Path) -> None:
    io.list_scans(crowd)
    (crowd / "damaged").write_bytes(min(crowd.iterdir()).read_bytes()[:400])
    with pytest.raises(FileError, match="damaged"):
        io.read(crowd, series=UIDS[0])
