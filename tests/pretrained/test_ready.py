from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ConfigError
from meddenoise.inference.compute import Second
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.pretrained.assumed import Assumed
from meddenoise.pretrained.ready import ReadyDenoiser


@pytest.fixture(scope="module")
def ready() -> ReadyDenoiser:
    return ReadyDenoiser.load(device="cpu")


def scene(contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """Solids and unit noise."""
    draws = np.random.default_rng(0)
    clean = contrast * (gaussian_filter(draws.normal(size=(40, 40, 32)), 4) > 0)
    return clean, clean + draws.normal(size=clean.shape)


@pytest.mark.parametrize(("contrast", "left"), [(3.0, 0.3), (10.0, 0.4), (40.0, 0.6)])
def test_most_of_the_noise_goes(ready: ReadyDenoiser, contrast: float, left: float) -> None:
    clean, noisy = scene(contrast)
    found = ready(noisy)
    assert found.dtype == np.float32
    assert found.shape == noisy.shape
    assert float(np.mean((found - clean) ** 2)) < left


def test_the_zero_of_intensities_does_not_matter(ready: ReadyDenoiser) -> None:
    _, noisy = scene(10.0)
    here, there = (ready(noisy + shift, exact=True) - shift for shift in (0.0, 500.0))
    assert float(np.abs(here - there).max()) < 0.02


@pytest.mark.parametrize("contrast", [10.0, 200.0])
def test_rounding_is_small_beside_the_noise(ready: ReadyDenoiser, contrast: float) -> None:
    _, noisy = scene(contrast)
    apart = ready(noisy) - ready(noisy, exact=True)
    assert float(apart.std()) < 0.01
    assert float(np.abs(apart).max()) < 0.15


def test_what_was_not_measured_has_no_say(ready: ReadyDenoiser) -> None:
    _, noisy = scene(5.0)
    valid = np.ones(noisy.shape, dtype=bool)
    valid[:4] = False
    damaged = noisy.copy()
    damaged[:4] = 1e4
    np.testing.assert_allclose(ready(noisy, valid)[4:], ready(damaged, valid)[4:], atol=1e-3)


def test_the_far_end_is_denoised_as_the_near_one_is(ready: ReadyDenoiser) -> None:
    """Where a size is no multiple of the network's; a repeated voxel's noise would stay there."""
    along = np.linspace(0, 10, 41)
    clean = along[:, None, None] + 5 * np.sin(along)[None, :, None] + np.zeros(41)
    noisy = clean + np.random.default_rng(0).normal(size=clean.shape)
    error = (ready(noisy) - clean) ** 2
    for axis in range(3):
        planes = np.moveaxis(error, axis, 0).mean(axis=(1, 2))
        assert planes[-1] < 2 * planes[0]


def test_it_says_what_it_is(ready: ReadyDenoiser) -> None:
    assert "sha256:" in ready.name


def test_it_is_loaded_once_for_the_same_words(ready: ReadyDenoiser) -> None:
    first = ReadyDenoiser.load(3, "cpu", {"tile": [32, 32, 32]})
    again = ReadyDenoiser.load(3, "cpu", {"tile": (32, 32, 32)})
    other = ReadyDenoiser.load(3, "cpu", {"tile": [64, 64, 64]})
    assert first.denoiser is again.denoiser
    assert other.denoiser is not first.denoiser
    assert list(other.denoiser.compute.settings.tile or ()) == [64, 64, 64]
    with pytest.raises(ConfigError, match="overlap"):
        ReadyDenoiser.load(3, "cpu", {"overlap": {1}})


def test_two_passes_are_no_brighter_than_noise(ready: ReadyDenoiser) -> None:
    """A network with biases of its own may be."""
    noise = gaussian_filter(np.random.default_rng(0).standard_normal((56, 56, 56)), (0.9, 0.9, 0))
    noise = (noise / noise.std()).astype(np.float32)
    inner = (slice(2, -3),) * 3

    def brighter(second: Second | None) -> float:
        """What is made of noise and of its negative together is of no noise."""
        found = ready(noise, exact=True, second=second) + ready(-noise, exact=True, second=second)
        return float(np.mean(found[inner])) / 2

    assert brighter(None) > 0.01
    assert brighter("shifted") > 0.01
    assert abs(brighter("negative")) < 0.05 * brighter(None)


def test_a_second_pass_is_better(ready: ReadyDenoiser) -> None:
    """Where the first has another grid."""
    clean, noisy = scene(10.0)

    def error(second: Second | None) -> float:
        return float(np.mean((ready(noisy, second=second) - clean) ** 2))

    once = error(None)
    assert error("shifted") < 0.97 * once
    assert error("negative") < 0.97 * once


def test_the_second_pass_that_fits() -> None:
    along = Correlation(((0.0,),) * 3)
    assert Assumed(1.0, None, along, (), ()).second == "negative"
    assert Assumed(1.0, RicianStabilisation(1.0), along, (), ()).second == "shifted"


def test_the_precision_that_is_asked_for_is_computed_in(
    monkeypatch: pytest.MonkeyPatch, ready: ReadyDenoiser
) -> None:
    monkeypatch.setattr("meddenoise.pretrained.ready.has_fast_bf16", lambda device: True)
    _, noisy = scene(10.0)
    exact = ready(noisy, exact=True)
    full, half = (
        ReadyDenoiser.load(device="cpu", inference={"precision": kind})(noisy)
        for kind in ("fp32", "bf16")
    )
    np.testing.assert_array_equal(full, exact)
    np.testing.assert_array_equal(half, ready(noisy))
    assert not np.array_equal(half, exact)
