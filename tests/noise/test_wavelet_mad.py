from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.noise import estimate_sigma


def head(shape: tuple[int, ...]) -> np.ndarray:
    """A bright ball with a textured inside and a soft edge on a black background."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    inside = 600 + 150 * np.cos(5 * grid[0]) * np.sin(7 * grid[1])
    return inside / (1 + np.exp(40 * (radius - 0.7)))


@pytest.mark.parametrize("sigma", [3.0, 30.0, 120.0])
@pytest.mark.parametrize("shape", [(64, 64, 64), (256, 256), (128, 128, 3)])
def test_simulated_noise_is_found(shape: tuple[int, ...], sigma: float) -> None:
    noisy = head(shape) + sigma * np.random.default_rng(0).standard_normal(shape)
    assert estimate_sigma(noisy.astype(np.float32)) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("background", [0.0, -1024.0])
def test_a_constant_background_is_left_out(background: float) -> None:
    clean = head((64, 64, 64))
    noisy = clean + 20 * np.random.default_rng(1).standard_normal(clean.shape)
    masked = clean < 100
    noisy = np.where(masked, background, noisy)
    assert masked.mean() > 0.5
    assert estimate_sigma(noisy) == pytest.approx(20, rel=0.05)


def test_only_the_mask_counts() -> None:
    rng = np.random.default_rng(2)
    noisy = rng.standard_normal((80, 80, 20))
    noisy[40:] *= 9
    mask = np.zeros(noisy.shape, dtype=bool)
    mask[:40] = True
    assert estimate_sigma(noisy, mask=mask) == pytest.approx(1, rel=0.03)
    assert estimate_sigma(noisy, mask=~mask) == pytest.approx(9, rel=0.03)


def test_voxels_that_are_not_finite_are_left_out() -> None:
    noisy = 5 * np.random.default_rng(3).standard_normal((40, 40, 40))
    noisy[::9, ::9, ::9] = np.nan
    noisy[:, :, 30:] = np.inf
    assert estimate_sigma(noisy) == pytest.approx(5, rel=0.05)


def test_a_large_image_is_sampled_throughout(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("meddenoise.noise.finest_band")
    noisy = np.random.default_rng(4).standard_normal((40, 320, 40))
    noisy *= np.linspace(1, 9, 320)[:, None]
    whole = estimate_sigma(np.moveaxis(noisy, 1, 0))
    monkeypatch.setattr(module, "_ENOUGH", 40 * 40 * 16 * 6)
    assert len(module.sampled_parts((320, 40, 40), 0)) == 6
    assert estimate_sigma(np.moveaxis(noisy, 1, 0)) == pytest.approx(whole, rel=0.05)


def test_ramps_and_constants_have_no_noise() -> None:
    x, y = np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")
    assert estimate_sigma(3 * x + 2 * y) < 1e-9
    assert estimate_sigma(np.full((32, 32, 32), 7.0)) == 0.0


@pytest.mark.parametrize("shape", [(64, 64), (40, 40, 24), (40, 40, 2)])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.0, 255.0), (1000.0, 1001.0)])
def test_rounding_is_no_noise(shape: tuple[int, ...], low: float, high: float) -> None:
    inside = head(shape) > 300
    assert estimate_sigma(np.where(inside, high, low)) == 0.0


def test_noise_of_double_precision_is_no_rounding() -> None:
    noisy = 1e9 + 1e-3 * np.random.default_rng(0).standard_normal((64, 64))
    assert estimate_sigma(noisy) == pytest.approx(1e-3, rel=0.05)


def test_what_cannot_be_estimated() -> None:
    with pytest.raises(ParameterError, match=r"values of 1e\+200, too large"):
        estimate_sigma(np.full((8, 8, 8), -1e200))
    with pytest.raises(ParameterError, match="2 or 3 axes"):
        estimate_sigma(np.zeros((1, 8, 8, 8)))
    with pytest.raises(ParameterError, match="too small"):
        estimate_sigma(np.zeros((3, 8)))
    with pytest.raises(ParameterError, match="too little image"):
        estimate_sigma(np.random.default_rng(0).standard_normal((6, 6)))
    with pytest.raises(ParameterError, match="mask has shape"):
        estimate_sigma(np.zeros((8, 8)), mask=np.ones((8, 9), dtype=bool))


@pytest.mark.parametrize("name", ["cit168_t1", "colin27_t1"])
@pytest.mark.parametrize(("percent", "tolerance"), [(5, 0.05), (15, 0.02)])
def test_on_heads_that_are_nearly_free_of_noise(
    shared_data: Path, name: str, percent: int, tolerance: float
) -> None:
    nibabel = pytest.importorskip("nibabel")
    head = np.asarray(nibabel.load(shared_data / "mri" / f"{name}.nii.gz").dataobj, np.float32)
    middle = tuple(slice(n // 2 - 40, n // 2 + 40) for n in head.shape[:3])
    crop = head[middle] / np.percentile(head, 99.9)
    noisy = crop + percent / 100 * np.random.default_rng(0).standard_normal(crop.shape)
    assert estimate_sigma(noisy) == pytest.approx(percent / 100, rel=tolerance)
