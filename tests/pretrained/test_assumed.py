from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.noise.anscombe import Anscombe
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.pretrained.assumed import assume

SIGMA = 8.0


def anatomy() -> np.ndarray:
    clean = 120 + 300 * gaussian_filter(np.random.default_rng(0).normal(size=(56, 56, 40)), 6)
    clean[:8] = clean[-8:] = 0
    return np.clip(clean, 0, None)


def scan(kind: str = "gaussian", sigma: float = SIGMA, **more: object) -> md.Volume:
    draws, clean = np.random.default_rng(1), anatomy()
    noise = sigma * draws.normal(size=clean.shape)
    if kind == "rician":
        return md.Volume.from_array(
            np.hypot(clean + noise, sigma * draws.normal(size=clean.shape)).astype(np.float32),
            modality="MR",
            **more,
        )
    if kind == "uneven":
        noise *= np.linspace(0.5, 2.5, len(noise))[:, None, None]
    if kind == "correlated":
        noise = gaussian_filter(noise, 1.2)
        noise *= sigma / noise.std()
    return md.Volume.from_array((clean + noise).astype(np.float32), **more)


@pytest.mark.parametrize("kind", ["gaussian", "rician"])
def test_the_noise_is_found(kind: str) -> None:
    found = assume(scan(kind))
    assert found.scale == pytest.approx(SIGMA, rel=0.1)
    assert isinstance(found.stabiliser, RicianStabilisation) == (kind == "rician")
    assert found.white
    assert not found.silent
    assert not found.doubts
    assert kind.capitalize() in found.said[0]


def test_there_and_back() -> None:
    noisy = scan("rician")
    found = assume(noisy)
    z = found.forward(noisy.array[0])
    flat = anatomy() > 60
    assert float((z[1:] - z[:-1])[flat[1:] & flat[:-1]].std()) == pytest.approx(2**0.5, rel=0.1)
    clean = np.full((4, 4, 4), 100.0)
    assert isinstance(found.stabiliser, RicianStabilisation)
    back = found.inverse(found.stabiliser.expected(clean / found.scale))
    np.testing.assert_allclose(back, clean, rtol=1e-3)


def test_a_sigma_that_is_known_is_taken() -> None:
    found = assume(scan(), sigma=5.0)
    assert found.scale == 5.0
    assert "as was said" in found.said[0]


def test_uneven_noise_gets_a_map() -> None:
    found = assume(scan("uneven"))
    assert isinstance(found.scale, np.ndarray)
    assert found.scale.shape == (56, 56, 40)
    inner = found.scale[12:-12].mean(axis=(1, 2))
    expected = SIGMA * np.linspace(0.5, 2.5, 56)[12:-12]
    assert np.corrcoef(inner, expected)[0, 1] > 0.9
    assert any("a map is taken" in sentence for sentence in found.said)


def test_even_noise_gets_none() -> None:
    assert isinstance(assume(scan()).scale, float)


def test_air_that_was_smoothed_makes_no_map() -> None:
    noisy = scan()
    array = noisy.array.copy()
    array[0, :14] = array[0, -14:] = 0.1 * array[0, :14]
    assert isinstance(assume(noisy.with_array(array)).scale, float)


def test_photon_noise_is_stabilised() -> None:
    waves = gaussian_filter(np.random.default_rng(3).normal(size=(400, 400)), 12)
    clean = 200 + 150 * waves / np.abs(waves).max()
    photons = np.random.default_rng(2).poisson(clean).astype(np.float32)
    found = assume(md.Volume.from_array(photons, modality="DX"))
    assert isinstance(found.stabiliser, Anscombe)
    with pytest.raises(ParameterError, match="leave --sigma out"):
        assume(md.Volume.from_array(photons, modality="DX"), sigma=3.0, stabilise="anscombe")
    for way in (None, "auto"):  # whoever says a sigma has it
        found = assume(md.Volume.from_array(photons, modality="DX"), sigma=3.0, stabilise=way)
        assert (found.scale, found.stabiliser) == (3.0, None)
        assert any("Without a sigma it is stabilised" in sentence for sentence in found.doubts)


def test_a_stabilisation_that_is_said_tells_of_the_noise() -> None:
    # Nothing in the header says that photons were counted, or that it is a magnitude.
    waves = gaussian_filter(np.random.default_rng(3).normal(size=(56, 56, 56)), 6)
    clean = 200 + 150 * waves / np.abs(waves).max()
    photons = 4 * np.random.default_rng(2).poisson(clean / 4).astype(np.float32)
    found = assume(md.Volume.from_array(photons), stabilise="anscombe")
    assert isinstance(found.stabiliser, Anscombe)
    assert found.stabiliser.gain == pytest.approx(4, rel=0.4)
    magnitude = assume(replace(scan("rician"), modality=""), stabilise="rician")
    assert isinstance(magnitude.scale, float)
    assert magnitude.scale == pytest.approx(float(np.max(assume(scan("rician")).scale)), rel=0.01)


def test_where_there_is_no_noise_there_is_nothing_to_do() -> None:
    found = assume(md.Volume.from_array(anatomy().astype(np.float32)))
    assert found.silent or float(np.max(found.scale)) < 0.5


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        (scan(sigma=200.0), "more than 22 %"),
        (scan("correlated"), "strongly correlated"),
        (scan(spacing=(0.5, 5.0, 5.0)), "0.5 x 5 x 5 mm"),
        (replace(scan(), modality="PT"), "modality PT"),
    ],
)
def test_what_the_network_does_not_know_is_said(volume: md.Volume, told: str) -> None:
    doubts = assume(volume).doubts
    assert any(told in doubt for doubt in doubts)
    assert all("--method auto" in doubt for doubt in doubts)


def test_a_stabilisation_that_does_not_fit() -> None:
    with pytest.raises(ParameterError, match="negative"):
        assume(scan(), stabilise="rician")
    with pytest.raises(ParameterError, match="leave --stabilise out"):
        assume(scan(), stabilise="anscombe")
    assert assume(scan("rician"), stabilise="none").stabiliser is None


def test_too_small_a_scan_says_what_to_do() -> None:
    with pytest.raises(ParameterError, match="Say --sigma"):
        assume(md.Volume.from_array(np.random.default_rng(0).normal(size=(3, 3, 3))))
