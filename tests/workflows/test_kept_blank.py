"""A masked background stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.workflows import streamed
from meddenoise.workflows.denoise import denoise_files
from meddenoise.workflows.kept_blank import blank_areas


def masked(scans: Any, value: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy scan whose surroundings are one value, and where they are."""
    array = scans.scan("white").array[0].copy()
    outside = np.ones(array.shape, bool)
    outside[16:, 18:] = False
    array[outside] = value
    return array, outside


def test_areas_are_made_of_squares_of_one_value() -> None:
    draws = np.random.default_rng(0)
    array = draws.normal(size=(50, 60, 3)).astype(np.float32)
    assert blank_areas(array) is None
    assert blank_areas(array[:8, :8]) is None
    array[:16, 20:38, 1] = array[2:18, 30:46, 1] = 7
    array[18, 30, 1] = 7  # no part of a square
    array[30:45, 30:45, 1] = 7  # a square of 15
    array[:, :, 2] = np.nan
    found = blank_areas(array)
    assert found is not None
    expected = np.zeros(array.shape, bool)
    expected[:16, 20:38, 1] = expected[2:18, 30:46, 1] = True
    np.testing.assert_array_equal(found, expected)
    plane = blank_areas(array[..., 1])
    np.testing.assert_array_equal(plane, expected[..., 1])
    for axis in (0, 1):  # a slice that stands upright
        upright = blank_areas(np.expand_dims(array[..., 1], axis))
        np.testing.assert_array_equal(upright, np.expand_dims(expected[..., 1], axis))


def test_noise_that_is_cut_off_at_its_lowest_value_is_no_area() -> None:
    draws = np.random.default_rng(0)
    assert blank_areas(np.maximum(draws.normal(-1, 1, (200, 200, 4)), 0)) is None
    assert blank_areas(np.round(draws.normal(0, 0.4, (200, 200, 4)))) is None


def test_few_counts_beside_a_masked_background_are_no_area() -> None:
    counts = np.random.default_rng(0).poisson(0.3, (96, 96, 12)).astype(np.float32)
    counts[:24] = counts[:, :24] = 0
    found = blank_areas(counts)
    assert found is not None
    assert found[:24].all()
    assert found[:, :24].all()
    assert found[24:, 24:].mean() < 0.005


@pytest.mark.parametrize("value", [0.0, -50.0])
@pytest.mark.parametrize("options", [{}, {"strength": 0.5}, {"method": "auto"}])
def test_a_masked_background_stays_and_the_rest_is_denoised(
    scans: Any, value: float, options: dict[str, Any]
) -> None:
    array, outside = masked(scans, value)
    with pytest.warns(UserWarning, match="noise"):
        found = md.denoise(md.Volume.from_array(array), device="cpu", **options).array[0]
    assert (found[outside] == value).all()
    assert (found[~outside] != array[~outside]).mean() > 0.99


def test_large_scans_alike(scans: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array, outside = masked(scans)
    file = md.write(md.Volume.from_array(array), tmp_path / "noisy.nii")
    denoise_files(file, tmp_path / "small.nii", device="cpu")
    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    denoise_files(file, tmp_path / "large.nii", device="cpu")
    one, other = (md.read(tmp_path / name).array[0] for name in ("small.nii", "large.nii"))
    assert (other[outside] == 0).all()
    np.testing.assert_array_equal(one, other)


def test_a_filter_does_what_its_name_says(scans: Any) -> None:
    array, outside = masked(scans)
    volume = md.Volume.from_array(array)
    smooth = md.denoise(volume, method="gaussian", options={"sigma": 1.0}).array[0]
    assert (smooth[outside] != 0).any()


def test_a_run_and_its_model_give_the_same(scans: Any, tmp_path: Path) -> None:
    array, outside = masked(scans)
    file = md.write(md.Volume.from_array(array), tmp_path / "noisy.nii.gz")
    run = md.train(
        {
            "data": {"images": str(file), "patch": [16, 16, 16], "batch": 1},
            "trainer": {"name": "noise2void"},
            "network": {"name": "unet", "channels": [4, 8]},
            "training": {"steps": 2, "validate_batches": 1, "trackers": []},
        },
        output=tmp_path / "run",
        device="cpu",
        progress=False,
    )
    assert run is not None
    (written,) = (run.directory / "denoised").iterdir()
    found = md.read(written).array[0]
    assert (found[outside] == 0).all()
    again = md.denoise(file, model=run.directory / "model.safetensors", device="cpu").array[0]
    np.testing.assert_allclose(found, again, rtol=1e-5, atol=1e-3)
