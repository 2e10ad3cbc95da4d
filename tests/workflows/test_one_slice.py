"""Volumes of one slice go the way of images."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.filters import register_filter, registry
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.estimation import estimate
from meddenoise.workflows.one_slice import as_image
from meddenoise.workflows.ways import way_to_denoise


def slice_of(axis: int = 2, **told: Any) -> tuple[NDArray[np.float32], md.Volume]:
    """A clean slice, and a volume of it with noise of sigma 10."""
    x, y = np.mgrid[:80, :72]
    clean = 100 + 60 * ((x // 16 + y // 12) % 2) + 30 * np.sin(x / 9)
    rng = np.random.default_rng(0)
    noisy = np.expand_dims(clean + rng.normal(0, 10, clean.shape), axis).astype(np.float32)
    return clean.astype(np.float32), md.Volume.from_array(noisy, **told)


def error(clean: NDArray[np.float32], found: md.Volume) -> float:
    return float(np.sqrt(np.mean((found.array.reshape(clean.shape) - clean) ** 2)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_is_an_image_in_its_place(axis: int) -> None:
    affine = np.array([[0, 0, 3.0, 5], [2, 0, 0, -7], [0, 1.5, 0, 11], [0, 0, 0, 1]])
    _, volume = slice_of(axis, affine=affine, modality="MR")
    image = as_image(volume)
    assert image is not None
    assert (image.dims, image.modality) == (2, "MR")
    np.testing.assert_array_equal(image.array, volume.array.squeeze(axis + 1))
    kept = [other for other in range(3) if other != axis]
    assert image.spacing == tuple(volume.spacing[other] for other in kept)
    # The same voxel lies in the same place.
    index = np.array([3, 4, 5])
    index[axis] = 0
    there = volume.affine @ [*index, 1]
    np.testing.assert_allclose(image.affine @ [*index[kept], 0, 1], there)


def test_what_is_none() -> None:
    assert as_image(md.Volume.from_array(np.zeros((8, 8)))) is None
    assert as_image(md.Volume.from_array(np.zeros((8, 8, 2)))) is None
    assert as_image(md.Volume.from_array(np.zeros((8, 1, 1)))) is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [None, "auto", "bm4d", "wavelet", "ensemble"])
def test_a_slice_comes_out_as_its_image_does(method: str | None) -> None:
    clean, volume = slice_of()
    image = as_image(volume)
    assert image is not None
    by_slice, by_image = (md.denoise(scan, method=method, device="cpu") for scan in (volume, image))
    np.testing.assert_array_equal(by_slice.array[..., 0], by_image.array)
    assert by_slice.history == by_image.history
    np.testing.assert_array_equal(by_slice.affine, volume.affine)
    assert error(clean, by_slice) < 0.7 * error(clean, volume)


@pytest.mark.filterwarnings("ignore")
def test_padding_and_voxels_without_a_value_stay() -> None:
    _, volume = slice_of(1)
    volume.array[0, 3, 0, 3] = np.nan
    done = md.denoise(volume, device="cpu")
    assert np.isnan(done.array[0, 3, 0, 3])
    assert np.isfinite(done.array).sum() == done.array.size - 1


def test_a_correlation_is_told_of_three_axes() -> None:
    _, volume = slice_of()
    told = Correlation(((0.4, 0.1, 0.0), (0.4, 0.1, 0.0), (0.0, 0.0, 0.0)))
    white, found = (
        way_to_denoise(None, "bm4d", "cpu", sigma=10.0, correlation=said).run(volume, None)
        for said in (None, told)
    )
    assert found.array.shape == volume.array.shape
    assert not np.allclose(found.array, white.array)


def test_a_filter_of_the_users_gets_three_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry._FILTERS, "_parts", dict(registry._FILTERS._parts))
    _, volume = slice_of()
    seen = []

    @register_filter("seen_axes")
    def seen_axes(array: NDArray[np.floating], *, spacing: Any, sigma_noise: Any = None) -> Any:
        seen.append((array.ndim, len(spacing)))
        return array

    md.denoise(volume, method="seen_axes")
    assert seen == [(3, 3)]


@pytest.mark.skipif(importlib.util.find_spec("dipy") is None, reason="needs dipy")
def test_the_volumes_of_a_series_are_compared_in_one_slice_too() -> None:
    clean, _ = slice_of()
    rng = np.random.default_rng(3)
    series = np.stack([clean * (1 + k / 8) + rng.normal(0, 10, clean.shape) for k in range(8)])
    volume = md.Volume.from_array(series[..., None].astype(np.float32))
    with pytest.warns(UserWarning, match="Taken: mppca"):
        found = md.denoise(volume, method="auto", device="cpu")
    assert float(np.sqrt(np.mean((found.array[0, ..., 0] - clean) ** 2))) < 6
    # Whatever denoises each by itself knows the noise of all.
    image = as_image(volume)
    assert image is not None
    assert estimate(image).mppca == estimate(volume).mppca == pytest.approx(10, rel=0.1)
    each = md.denoise(volume, method="bm4d")
    assert f"noise sigma estimated as {estimate(volume).sigma:.4g}" in each.history[-1]


@pytest.mark.filterwarnings("ignore")
def test_two_slices_are_better_than_by_the_network_for_volumes_alone() -> None:
    x, y = np.mgrid[:80, :72]
    clean = (100 + 60 * ((x // 16 + y // 12) % 2) + 30 * np.sin(x / 9)).astype(np.float32)
    pair = np.stack([clean, clean], axis=-1)
    noisy = pair + np.random.default_rng(1).normal(0, 10, pair.shape).astype(np.float32)
    done = md.denoise(md.Volume.from_array(noisy), sigma=10.0, device="cpu").array[0]
    from meddenoise.pretrained.ready import ReadyDenoiser

    alone = ReadyDenoiser.load(3, "cpu")(noisy / np.float32(10)) * 10
    assert np.mean((done - pair) ** 2) < np.mean((alone - pair) ** 2)


@pytest.mark.filterwarnings("ignore")
def test_photons_are_counted_in_a_slice_too() -> None:
    x = np.linspace(20, 300, 320, dtype=np.float32)[:, None] + np.zeros((320, 320, 1), np.float32)
    photons = np.random.default_rng(2).poisson(x).astype(np.float32)
    volume = md.Volume.from_array(photons, modality="DX")
    for method in (None, "auto"):
        with pytest.warns(UserWarning, match="counted photons"):
            md.denoise(volume, method=method, sigma=3.0, device="cpu")
        with pytest.raises(ParameterError, match="counted photons"):
            md.denoise(volume, method=method, sigma=3.0, stabilise="anscombe", device="cpu")
