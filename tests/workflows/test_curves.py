from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.volume import Volume
from meddenoise.workflows.curves import scan_curves, write_curves


def volumes(*arrays: np.ndarray) -> Volume:
    return Volume(np.stack(arrays).astype(np.float32), np.eye(4))


@pytest.mark.parametrize("role", ["mask", "labels"])
def test_a_mask_or_label_map_has_one_volume_or_as_many(role: str) -> None:
    draws = np.random.default_rng(0)
    clean = np.zeros((32, 32, 12))
    clean[8:24, 8:24] = 100
    noisy = volumes(*(clean + draws.normal(0, 5, clean.shape) for _ in range(3)))
    image, inside = volumes(clean, clean, clean), np.ones(clean.shape)
    inside[:4] = 0
    for given in (volumes(inside), volumes(inside, inside, inside)):
        assert scan_curves(image, noisy=noisy, **{role: given}).curves
    with pytest.raises(ParameterError, match=r"has 2 volumes and .* 3: give it one"):
        scan_curves(image, noisy=noisy, **{role: volumes(inside, inside)})


def test_a_volume_without_a_voxel_is_named() -> None:
    draws = np.random.default_rng(0)
    clean = draws.normal(100, 5, (32, 32, 12))
    nothing = np.full_like(clean, np.nan)
    noisy = volumes(clean, clean)
    with pytest.raises(ParameterError, match="in volume 2 of the scan: give another mask or scan"):
        scan_curves(volumes(clean, clean), reference=volumes(clean, nothing), noisy=noisy)


def test_names_are_written_as_the_file_system_has_them(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    clean = volumes(draws.normal(100, 5, (32, 32, 12)))
    noisy = volumes(draws.normal(100, 5, (32, 32, 12)))
    place, name = tmp_path / "curves.csv", b"scan_\xe9.nii.gz"
    write_curves(place, {os.fsdecode(name): scan_curves(clean, noisy=noisy)})
    assert b"\n" + name in place.read_bytes()
