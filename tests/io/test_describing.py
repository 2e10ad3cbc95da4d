from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meddenoise import io
from meddenoise.io.describing import orientation
from meddenoise.volume import Volume


def test_a_series_is_described_without_its_patient(
    make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    place = make_series(
        ramp, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024, InstitutionName="Sentinel",
    )  # fmt: skip
    facts = io.describe(place)
    text = json.dumps(facts, allow_nan=False)
    assert "Sentinel" not in text
    assert "SENTINEL" not in text
    assert facts["format"] == "dicom"
    assert facts["shape"] == [5, 4, 3]
    assert facts["spacing"] == pytest.approx([0.4, 0.7, 5])
    assert facts["orientation"] == "LPS"
    assert (facts["units"], facts["modality"], facts["dtype"]) == ("HU", "CT", "uint16")
    assert facts["range"] == [-1024, 59 * 7 - 1024]
    assert facts["files"] == 3
    assert "Explicit VR Little Endian" in facts["details"]["transfer_syntax"]


def test_non_finite_voxels_are_told(tmp_path: Path) -> None:
    array = np.ones((2, 2, 2), np.float32)
    array[0, 0, 0] = np.nan
    io.write(Volume.from_array(array), tmp_path / "a.nii")
    facts = io.describe(tmp_path / "a.nii")
    assert facts["finite"] is False
    assert facts["range"] == [1, 1]
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize(
    ("affine", "letters"),
    [
        (np.diag([1, 1, 1, 1]), "RAS"),
        (np.diag([-1, -1, 1, 1]), "LPS"),
        ([[0, 0, 5, 0], [-0.4, 0, 0, 0], [0, -0.7, 0, 0], [0, 0, 0, 1]], "PIR"),
    ],
)
def test_orientation(affine: object, letters: str) -> None:
    assert orientation(np.array(affine, dtype=float)) == letters
