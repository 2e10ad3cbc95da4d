from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.filters import get_filter
from meddenoise.noise.correlation import Correlation
from meddenoise.pretrained.ready import ReadyDenoiser
from meddenoise.workflows.ensemble import Both, Effort, ensemble
from meddenoise.workflows.refined import bm4d_refined, ensemble_refined


def error(array: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array - clean))))


@pytest.mark.parametrize("dims", [2, 3])
def test_it_is_the_mean_of_both_and_no_worse_than_the_better(scans: Any, dims: int) -> None:
    noisy, clean, sigma = scans.scan("white").array[0], scans.anatomy(), scans.sigma
    if dims == 2:
        noisy, clean = noisy[..., 20], clean[..., 20]
    spacing = (1.0,) * dims
    found = ensemble(noisy, spacing=spacing, sigma_noise=sigma, device="cpu")
    blocks = get_filter("bm4d")(noisy, spacing=spacing, sigma_noise=sigma)
    network = ReadyDenoiser.load(dims, "cpu")(noisy / sigma) * sigma
    assert found.dtype == noisy.dtype
    assert np.allclose(found, (blocks + network) / 2, atol=1e-3)
    assert error(found, clean) < 1.01 * min(error(blocks, clean), error(network, clean))


@pytest.mark.parametrize("dims", [2, 3])
def test_what_else_they_make_of_a_scan(scans: Any, dims: int) -> None:
    noisy, clean, sigma = scans.scan("white").array[0], scans.anatomy(), scans.sigma
    if dims == 2:
        noisy, clean = noisy[..., 20], clean[..., 20]
    spacing = (1.0,) * dims
    how: dict[str, Any] = {"spacing": spacing, "device": "cpu", "floor": None, "correlation": None}
    both = Both.loaded(noisy.shape, **how, effort=Effort())
    mean = both.mean(noisy, sigma)
    own, turned, around = both.others(noisy, mean, sigma)
    network = ReadyDenoiser.load(dims, "cpu")(noisy / sigma) * sigma
    assert np.allclose(own, network, atol=1e-3)
    assert error(turned, clean) < error(own, clean)
    assert error(around, clean) < 0.5 * error(noisy, clean)
    assert np.abs(around - mean).max() > 0.01 * sigma
    finer = both.others(noisy, mean, sigma, finer=True)[-1]
    assert error(finer, clean) < 0.5 * error(noisy, clean)
    assert np.abs(around - finer).max() > 0.01 * sigma


@pytest.mark.parametrize(("side", "count"), [(54, 4), (78, 3), (200, 0)])
def test_what_else_there_is_time_to_make(side: int, count: int) -> None:
    how: dict[str, Any] = {"spacing": (1, 1, 1), "device": "cpu", "floor": None}
    shape = (side, side, 96)
    both = Both.loaded(shape, **how, correlation=None, effort=Effort())
    found = both.others_within(shape, 60.0)
    assert (found is None) == (count == 0)
    if found is not None:
        image = np.random.default_rng(0).standard_normal((20, 18, 16)).astype(np.float32)
        assert len(found(image, image, 1.0)) == count


def test_what_is_darker_than_the_floor_is_the_network_s_own(scans: Any) -> None:
    noisy, sigma = scans.scan("white").array[0], scans.sigma
    network = ReadyDenoiser.load(3, "cpu")(noisy / sigma, second="shifted") * sigma
    blocks = get_filter("bm4d")(noisy, spacing=(1, 1, 1), sigma_noise=sigma)
    found = ensemble(noisy, spacing=(1, 1, 1), sigma_noise=sigma, device="cpu", floor=100.0)
    plain = (network + blocks) / 2
    dark, bright = network < 100, network > 100 + sigma
    assert min(dark.sum(), bright.sum()) > 1000
    assert np.allclose(found[dark], network[dark], atol=1e-3)
    assert np.allclose(found[bright], plain[bright], atol=1e-3)
    assert np.abs(plain - network)[dark].max() > 0.1


def test_the_background_of_a_magnitude_is_as_flat_as_the_network_makes_it(scans: Any) -> None:
    volume, empty = scans.scan("rician"), scans.anatomy() == 0
    alone, both = (md.denoise(volume, method=m) for m in (None, "auto"))
    assert both.array[0][empty].mean() < alone.array[0][empty].mean() + 0.02 * scans.sigma


@pytest.mark.parametrize(
    ("shape", "seconds", "learns", "effort"),
    [
        ((64, 64, 48), 60, True, Effort(5, True)),
        ((96, 96, 80), 60, True, Effort(5)),
        ((96, 96, 80), 60, False, Effort(5, True)),
        ((256, 256, 200), 60, False, Effort()),
        ((256, 256, 200), 600, False, Effort(5, True)),
        ((256, 256), 12, True, Effort(5, True)),
        ((256, 256), 8, True, Effort(5)),
        ((40, 40, 40), float("nan"), True, Effort()),
    ],
)
def test_the_effort_is_what_the_time_allows(
    shape: tuple[int, ...], seconds: float, learns: bool, effort: Effort
) -> None:
    assert Effort.within(shape, seconds, learns=learns) == effort


def test_more_effort_is_better(scans: Any) -> None:
    noisy, clean, sigma = scans.scan("white").array[0], scans.anatomy(), scans.sigma
    how = {"spacing": (1, 1, 1), "sigma_noise": sigma, "device": "cpu"}
    quick, longer = ensemble(noisy, **how), ensemble(noisy, **how, search=5, flips=True)
    assert error(longer, clean) < error(quick, clean)


def test_bm4d_is_told_of_correlated_noise_and_nothing_is_learnt(scans: Any) -> None:
    noisy, along = scans.scan("along x").array[0], Correlation(((0.78, 0.37, 0.1), (0,), (0,)))
    how = {"spacing": (1, 1, 1), "sigma_noise": scans.sigma, "correlation": along}
    blocks = get_filter("bm4d")(noisy, **how)
    found = ensemble(noisy, **how, device="cpu")
    network = ReadyDenoiser.load(3, "cpu")(noisy / scans.sigma) * scans.sigma
    assert np.allclose(found, (blocks + network) / 2, atol=1e-3)
    for method, first in ((bm4d_refined, blocks), (ensemble_refined, found)):
        with pytest.warns(UserWarning, match="correlated.*the training is left out"):
            refined = method(noisy, **how, seconds=1.0, device="cpu")
        assert np.array_equal(refined, first)


def test_that_nothing_was_learnt_is_said(scans: Any) -> None:
    small = scans.scan("white").array[0, 8:32, 8:32, :20]  # nothing of it can be held out
    how: dict[str, Any] = {"spacing": (1.0,) * 3, "sigma_noise": scans.sigma}
    with pytest.warns(UserWarning, match="Nothing was learnt from the scan itself"):
        refined = bm4d_refined(small, **how, seconds=30.0, device="cpu")
    assert np.array_equal(refined, get_filter("bm4d")(small, **how))


@pytest.mark.parametrize("seed", [-1, 2**70])
def test_an_impossible_seed(seed: int) -> None:
    image = np.random.default_rng(0).normal(0, 1, (24, 24)).astype(np.float32)
    with pytest.raises(ParameterError, match=f"seed is {seed}"):
        bm4d_refined(image, spacing=(1, 1), sigma_noise=1.0, seed=seed)


def test_without_noise_nothing_changes() -> None:
    flat = np.full((20, 20, 20), 7.0, np.float32)
    for method in (ensemble, ensemble_refined):
        found = method(flat, spacing=(1, 1, 1), sigma_noise=0.0)
        assert np.array_equal(found, flat)


def test_it_is_a_method_like_any(scans: Any) -> None:
    volume = scans.scan("white")
    alone = md.denoise(volume, method="bm4d")
    refined = md.denoise(volume, method="ensemble_refined", options={"seconds": 3.0})
    clean = scans.anatomy()
    assert error(refined.array[0], clean) < 1.02 * error(alone.array[0], clean)
    assert "ensemble_refined" in refined.history[-1]
