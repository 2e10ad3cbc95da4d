"""No whole volume is held twice: reading and writing take little more than the voxels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from meddenoise import io
from meddenoise.volume import Volume

SHAPE = (160, 192, 180)
FLOATS = 4 * np.prod(SHAPE)


def peak(step: Callable[[], object]) -> float:
    """The most memory that a step held at a time, in float32 volumes."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1] / FLOATS
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def noisy() -> Volume:
    draws = np.random.default_rng(0)
    return Volume.from_array(draws.integers(0, 60, SHAPE, np.int16).astype(np.float32))


@pytest.mark.parametrize("slope", [1.0, 0.5])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_reading_takes_the_stored_voxels_and_the_volume(
    tmp_path: Path, noisy: Volume, name: str, slope: float
) -> None:
    image = nib.Nifti1Image(noisy.array[0].astype(np.int16), noisy.affine)
    image.header.set_slope_inter(slope, 0)
    nib.openers.Opener.default_compresslevel = 1
    nib.save(image, tmp_path / name)
    assert peak(lambda: io.read(tmp_path / name)) < 1.5 + 0.2


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("name", "most"),
    [("a.nii", 0.2), ("a.nii.gz", 0.2), ("a.nrrd", 0.2), ("a.mha", 1.1)],  # compressed, in memory
)
def test_writing_takes_no_second_volume(
    tmp_path: Path, noisy: Volume, name: str, most: float, turned: bool
) -> None:
    """In whatever order of axes the voxels lie in memory."""
    array = np.asfortranarray(noisy.array[0])[None] if turned else noisy.array
    volume = Volume(array, noisy.affine)
    io.write(
        Volume(array[:, :2], noisy.affine), tmp_path / f"first-{name}"
    )  # imports what it needs
    assert peak(lambda: io.write(volume, tmp_path / name)) < most
