"""Filters around which the noise is stabilised."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import apply_filter, filter_names, is_joint, register_filter
from meddenoise.noise import RicianStabilisation, debias_scan
from meddenoise.volume import Volume

SIGMA = 10.0
SNRS = (1.0, 1.5, 2.0, 3.0)


def regions(shape: tuple[int, int, int] = (64, 64, 20)) -> np.ndarray:
    """Air, and four regions with an SNR of 1 to 3."""
    clean = np.zeros(shape, dtype=np.float32)
    for corner, snr in zip(((4, 4), (4, 34), (34, 4), (34, 34)), SNRS, strict=True):
        clean[tuple(slice(c, c + 26) for c in corner)] = SIGMA * snr
    return clean


CLEAN = regions()


def magnitude(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, SIGMA, (2, *CLEAN.shape))
    return np.hypot(CLEAN + noise[0], noise[1]).astype(np.float32)


def biases(result: Volume) -> np.ndarray:
    """Mean signed error in the middle of each region, in sigma."""
    error = (result.array[0] - CLEAN) / SIGMA
    corners = ((4, 4), (4, 34), (34, 4), (34, 34))
    return np.array([error[x + 7 : x + 19, y + 7 : y + 19, 4:-4].mean() for x, y in corners])


NOISY = Volume.from_array(magnitude())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussian", {"sigma": 1.5}),
        ("mean", {"size": 5}),
        ("total_variation", {}),
        ("wavelet", {}),
        ("nlmeans", {"search": 1}),
    ],
)
def test_the_bias_is_gone(name: str, options: dict[str, float]) -> None:
    plain = apply_filter(NOISY, name, sigma_noise=SIGMA, **options)
    assert biases(plain) == pytest.approx([0.55, 0.38, 0.28, 0.18], abs=0.12)
    for result in (
        apply_filter(NOISY, name, sigma_noise=SIGMA, stabilise="rician", **options),
        debias_scan(NOISY, plain, sigma=SIGMA),
    ):
        assert np.abs(biases(result)).max() < 0.1
        assert np.abs(result.array - CLEAN).mean() < 0.7 * np.abs(plain.array - CLEAN).mean()


def test_auto_says_what_it_chose_and_none_says_nothing() -> None:
    with pytest.warns(UserWarning, match="estimated to be Rician and is stabilised"):
        found = apply_filter(NOISY, "gaussian", stabilise="auto", sigma=1.5)
    assert "stabilised as Rician noise of sigma" in found.history[-1]
    assert np.abs(biases(found)).max() < 0.2
    signed = NOISY.with_array(NOISY.array - 50)
    with pytest.warns(UserWarning, match="nothing is stabilised"):
        found = apply_filter(signed, "gaussian", stabilise="auto", sigma=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = apply_filter(signed, "gaussian", sigma=1)
        told = apply_filter(NOISY, "gaussian", stabilise="rician", sigma_noise=9, sigma=1)
    np.testing.assert_array_equal(found.array, plain.array)
    assert found.history == plain.history
    assert told.history == (
        "filtered by gaussian, sigma 1.0, stabilised as Rician noise of sigma 9",
    )


@pytest.mark.usefixtures("own_filters")
def test_the_filter_sees_noise_of_a_deviation_of_1() -> None:
    seen = {}

    @register_filter("watching", noise=True)
    def watching(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        seen["array"], seen["sigma"] = array, sigma_noise
        return array

    result = apply_filter(NOISY, "watching", stabilise="rician", sigma_noise=SIGMA)
    assert seen["sigma"] == 1
    assert seen["array"][38:58, 38:58, 4:-4].std() == pytest.approx(1, abs=0.04)
    assert seen["array"][:4].std() == pytest.approx(1, abs=0.04)
    stabiliser = RicianStabilisation(SIGMA)
    np.testing.assert_array_equal(seen["array"], stabiliser.forward(NOISY.array[0]))
    np.testing.assert_array_equal(result.array[0], stabiliser.inverse(seen["array"]))


@pytest.mark.usefixtures("own_filters")
def test_a_filter_with_a_floor_is_told_what_is_not_gaussian() -> None:
    seen = []

    @register_filter("careful")
    def careful(array, *, spacing, sigma_noise=None, floor: float | None = None):  # type: ignore[no-untyped-def]
        seen.append(floor)
        return array

    apply_filter(NOISY, "careful", stabilise="rician", sigma_noise=SIGMA)
    apply_filter(NOISY, "careful", stabilise="rician", sigma_noise=SIGMA, floor=7.0)
    apply_filter(NOISY, "careful")
    low = RicianStabilisation(SIGMA).expected(np.array([2.0 * SIGMA]))[0]
    assert seen == [pytest.approx(low), 7.0, None]


@pytest.mark.usefixtures("own_filters")
def test_a_joint_filter_gets_every_channel_stabilised() -> None:
    seen = []

    @register_filter("together", joint=True)
    def together(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        seen.append((array, sigma_noise))
        return array

    array = np.stack([magnitude(0), 2 * magnitude(1), np.zeros_like(CLEAN)])
    array[0, 5, 5, 5] = np.nan
    result = apply_filter(Volume.from_array(array), "together", stabilise="rician")
    ((given, sigma),) = seen
    assert sigma == 1
    for channel in (0, 1):
        assert given[channel][38:58, 38:58].std() == pytest.approx(1, abs=0.1)
    assert (given[2] == 0).all()  # constant: there is no noise in it
    assert np.isnan(result.array[0, 5, 5, 5])
    assert np.isfinite(result.array).sum() == array.size - 1


@pytest.mark.parametrize("name", [n for n in filter_names() if not is_joint(n) and n != "bm4d"])
def test_what_was_not_measured_is_kept_and_does_not_leak(name: str) -> None:
    array = magnitude()[None, :24, :24, :12].copy()
    array[:, :5] = -3024
    array[0, 9, 9, 5] = np.nan
    volume = Volume(array, np.eye(4), padding=array == -3024)
    result = apply_filter(volume, name, stabilise="rician", sigma_noise=SIGMA)
    np.testing.assert_array_equal(result.array[:, :5], -3024)
    assert np.isnan(result.array[0, 9, 9, 5])
    measured = result.array[result.valid]
    assert measured.min() >= 0
    assert measured.max() < 5 * SIGMA


def test_a_picture_of_counts() -> None:
    place = np.meshgrid(*[np.linspace(0, 6, 320)] * 2, indexing="ij")
    clean = 6 + 5 * np.sin(sum(place))
    noisy = 3 * np.random.default_rng(0).poisson(clean).astype(np.float32)
    # What a filter knows of the noise is one number: too much in the dark, too little where it is
    # bright.
    volume = Volume.from_array(noisy, modality="XA")
    plain = apply_filter(volume, "total_variation").array[0]
    stabilised = apply_filter(volume, "total_variation", stabilise="anscombe").array[0]
    errors = [np.square(x - 3 * clean).mean() for x in (stabilised, plain)]
    assert errors[0] < 0.3 * errors[1]
    for where in (clean < 3, clean >= 3):
        assert abs((stabilised - 3 * clean)[where].mean()) < 0.1 * 3  # a tenth of a photon


def test_what_cannot_be_done() -> None:
    with pytest.raises(ParameterError, match="negative values"):
        apply_filter(NOISY.with_array(NOISY.array - 9), "median", stabilise="rician")
    with pytest.raises(ParameterError, match="rician=true takes the bias"):
        apply_filter(NOISY, "nlmeans", stabilise="rician", sigma_noise=SIGMA, rician=True)
    with pytest.raises(ParameterError, match=r"did you mean 'anscombe'"):
        apply_filter(NOISY, "median", stabilise="anscomb")
    with pytest.raises(ParameterError, match="coils is 0"):
        apply_filter(NOISY, "median", stabilise="rician", coils=0)
    with pytest.raises(ParameterError, match="sigma is 0"):
        apply_filter(NOISY, "median", stabilise="rician", sigma_noise=0)
