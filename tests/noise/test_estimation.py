from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.noise import NoiseEstimate, estimate, estimate_sigma, simulate
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.mppca import mppca_sigma
from meddenoise.noise.mri import kspace_filter
from meddenoise.volume import Volume


def ball(shape: tuple[int, ...]) -> np.ndarray:
    """A bright ball with two tissues and a soft edge on a black background."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    inside = 500 + 150 * np.tanh(8 * np.sin(3 * grid[0]) * np.cos(2 * grid[1]))
    return inside / (1 + np.exp(40 * (radius - 0.8)))


def noisy_ball(
    shape: tuple[int, ...], sigma: float, *, rician: bool, masked: bool, seed: int = 0
) -> np.ndarray:
    clean = ball(shape)
    channels = sigma * np.random.default_rng(seed).standard_normal((2, *shape))
    noisy = np.hypot(clean + channels[0], channels[1]) if rician else clean + channels[0]
    return np.where(clean > 100, noisy, 0) if masked else noisy


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rician", [False, True])
@pytest.mark.parametrize("sigma", [6.0, 30.0, 120.0])
def test_sigma_of_simulated_noise(sigma: float, rician: bool, masked: bool) -> None:
    told = estimate(noisy_ball((80, 80, 64), sigma, rician=rician, masked=masked))
    assert told.sigma == pytest.approx(sigma, rel=0.05)
    assert not told.correlated
    assert (told.background is None) == masked
    if not masked:
        assert told.background == pytest.approx(sigma, rel=0.03)
        assert told.method == "background"
        assert told.model == ("rician" if rician else "gaussian")
    assert told.percent == pytest.approx(100 * sigma / told.reference, rel=0.05)


def test_the_modality_decides_where_it_is_known() -> None:
    positive = noisy_ball((60, 60, 48), 20, rician=True, masked=True).astype(np.float32)
    assert estimate(positive, modality="MR").model == "rician"
    assert estimate(positive, modality="CT").model == "gaussian"
    assert estimate(positive, modality="PT").model == "unknown"
    assert estimate(Volume.from_array(positive, modality="MR"), modality="CT").model == "rician"
    signed = noisy_ball((60, 60, 48), 20, rician=False, masked=False)
    assert estimate(signed, modality="MR").model == "gaussian"
    assert estimate(Volume.from_array(signed - 100, units="HU")).model == "gaussian"


@pytest.mark.parametrize("coils", [1, 4])
def test_a_weak_magnitude_is_corrected(coils: int) -> None:
    rng = np.random.default_rng(1)
    channels = 50 * rng.standard_normal((2 * coils, 60, 60, 60))
    channels[0] += 100 + 50 * np.linspace(0, 1, 60)[:, None, None]
    told = estimate(np.sqrt(np.square(channels).sum(axis=0)), modality="MR", coils=coils)
    assert told.coils == coils
    assert told.sigma == pytest.approx(50, rel=0.07)


def test_a_percentage_is_of_all_volumes() -> None:
    draws = np.random.default_rng(3)
    series = 100 + 5 * draws.standard_normal((3, 40, 40, 40))
    series[0] += 300
    told = estimate(series, modality="CT")
    assert told.reference == pytest.approx(reference_intensity(series))
    weaker_first = estimate(series[::-1], modality="CT")
    assert weaker_first.percent == pytest.approx(told.percent, rel=0.03)


def test_correlated_noise_is_found_and_sigma_corrected_for_it() -> None:
    rng = np.random.default_rng(2)
    noise = gaussian_filter1d(rng.standard_normal((80, 80, 64)), 0.6, axis=1)
    noise *= 20 / noise.std()
    clean = ball(noise.shape)
    for masked in (False, True):
        noisy = np.where(clean > 100, clean + noise, 0) if masked else clean + noise
        told = estimate(noisy)
        assert told.correlated
        assert told.correlation.axes == (1,)
        assert told.sigma == pytest.approx(20, rel=0.1)
    assert estimate_sigma(noisy) < 0.85 * 20  # which is what the correction is for


@pytest.mark.parametrize(("zero_filling", "apodisation"), [(1.5, 0.0), (1.0, 0.5), (2.0, 0.0)])
def test_k_space_filtered_noise_is_found(zero_filling: float, apodisation: float) -> None:
    clean = Volume.from_array(ball((72, 72, 64)).astype(np.float32))
    noisy = simulate(
        clean, "kspace", sigma=30.0, zero_filling=zero_filling, apodisation=apodisation
    )
    for masked in (False, True):
        array = np.where(clean.array > 100, noisy.array, 0) if masked else noisy.array
        told = estimate(Volume.from_array(array[0], modality="MR"))
        assert told.correlation.axes == (0, 1, 2)
        assert told.sigma == pytest.approx(30, rel=0.15)


def test_little_zero_filling_does_not_hide_noise() -> None:
    """The finest band sees 0.88 of it, and the next neighbours share too little to be told."""
    clean = ball((96, 96, 64)).astype(np.float32) + 300
    h = kspace_filter(clean.shape[:2], zero_filling=1 / 0.95).numpy()[..., None]
    for seed in range(3):
        drawn = np.random.default_rng(seed).standard_normal(clean.shape)
        noise = np.fft.ifftn(h * np.fft.fftn(drawn)).real
        noisy = clean + 30 * noise / noise.std()
        told = estimate(noisy, modality="CT")
        assert told.sigma == pytest.approx(30, rel=0.05)
        assert not told.correlated
        assert not told.correlation.white


def test_the_map_of_noise_that_varies() -> None:
    clean = ball((80, 60, 60))
    sigma = np.linspace(10, 40, 80)[:, None, None] * np.ones(clean.shape)
    noise = gaussian_filter1d(np.random.default_rng(3).standard_normal(clean.shape), 0.5, axis=2)
    noisy = clean + 150 + sigma * noise / noise.std()
    told = estimate(noisy, with_map=True)
    assert told.map is not None
    assert told.map.shape == clean.shape
    assert told.map.dtype == np.float32
    inside = clean > 300
    assert np.median(np.abs(told.map / sigma - 1)[inside]) < 0.1
    assert np.corrcoef(told.map[inside], sigma[inside])[0, 1] > 0.9
    assert estimate(noisy).map is None


def test_a_series_of_volumes_by_mppca() -> None:
    rng = np.random.default_rng(4)
    clean = ball((40, 40, 30)) * rng.uniform(0.5, 1, (12, 1, 1, 1))
    noisy = clean + 25 * rng.standard_normal(clean.shape)
    told = estimate(Volume.from_array(noisy))
    assert told.mppca == told.sigma == pytest.approx(25, rel=0.05)
    assert told.method == "MP-PCA over the volumes"
    assert estimate(Volume.from_array(noisy[:5])).mppca is None
    # Too small for its windows, not for the first volume.
    told = estimate(Volume.from_array(noisy[:, 14:24, 14:24, 10:20]))
    assert told.mppca is None
    assert told.sigma == pytest.approx(25, rel=0.15)


@pytest.mark.parametrize("value", [0, 7, np.nan])
@pytest.mark.parametrize("lost", [[0], [5], [0, 5, 11]])
def test_lost_volumes_of_a_series_do_not_count(lost: list[int], value: float) -> None:
    rng = np.random.default_rng(4)
    clean = ball((40, 40, 30)) * rng.uniform(0.5, 1, (12, 1, 1, 1))
    noisy = clean + 25 * rng.standard_normal(clean.shape)
    noisy[lost] = value
    told = estimate(Volume.from_array(noisy))
    assert told.mppca == told.sigma == pytest.approx(25, rel=0.05)
    noisy[1:8] = value  # five or four are left, which is too few
    told = estimate(Volume.from_array(noisy))
    assert told.mppca is None
    assert told.sigma == pytest.approx(25, rel=0.05)


def test_a_repeated_volume_of_a_series_counts_once() -> None:
    rng = np.random.default_rng(4)
    clean = ball((40, 40, 30)) * rng.uniform(0.5, 1, (12, 1, 1, 1))
    noisy = clean + 25 * rng.standard_normal(clean.shape)
    expected = estimate(Volume.from_array(noisy[:11])).mppca
    noisy[11] = noisy[3]
    assert estimate(Volume.from_array(noisy)).mppca == pytest.approx(expected, rel=1e-6)
    noisy[5:] = noisy[0]
    told = estimate(Volume.from_array(noisy))  # five that differ
    assert told.mppca is None
    assert told.sigma == pytest.approx(25, rel=0.05)


def test_a_series_without_noise_has_none() -> None:
    clean = ball((40, 40, 30)) * np.random.default_rng(4).uniform(0.5, 1, (12, 1, 1, 1))
    assert mppca_sigma(clean[:, 8:-8, 8:-8, 6:-6] + 9) < 1e-3


@pytest.mark.parametrize("shape", [(10, 10), (12, 12), (7, 7, 7)])
def test_an_image_too_small_for_a_map_has_its_sigma(shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(9).normal(100, 5, shape)
    told = estimate(noisy, with_map=True)
    assert told.map is None
    assert told.no_map.startswith("There is too little image for a map")
    assert told.sigma == estimate(noisy).sigma == pytest.approx(5, rel=0.4)
    assert told.as_dict()["no_map"] == told.no_map
    assert estimate(noisy).no_map == ""
    assert "no_map" not in estimate(noisy).as_dict()
    with pytest.warns(UserWarning, match="taken to be Gaussian"):
        assert md.denoise(Volume.from_array(noisy)).array.std() < 0.9 * noisy.std()


def test_a_radiograph_counts_photons() -> None:
    rng = np.random.default_rng(5)
    clean = 50 + 400 * gaussian_filter(rng.uniform(size=(400, 400)), 25, mode="wrap") ** 8
    clean = 50 + 400 * (clean - clean.min()) / np.ptp(clean)
    counted = 2.0 * rng.poisson(clean / 2.0)
    for modality in ("DX", ""):
        told = estimate(counted, modality=modality)
        assert told.model == "poisson_gaussian"
        assert told.method == "photon transfer"
        assert told.photons is not None
        assert told.photons.gain == pytest.approx(2, rel=0.08)
        assert told.as_dict()["gain"] == told.photons.gain
        assert told.sigma == pytest.approx(np.sqrt(2 * np.median(clean)), rel=0.08)
    even = clean + 20 * rng.standard_normal(clean.shape)
    assert estimate(even, modality="DX").model == "gaussian"


def test_padding_empty_channels_and_what_is_not_finite_do_not_count() -> None:
    rng = np.random.default_rng(6)
    array = rng.normal(500, 15, (3, 48, 48, 40)).astype(np.float32)
    array[0] = 0
    array[1, :10] = -3024
    array[1, 20, 20, 20] = np.nan
    volume = Volume(array, np.eye(4), padding=array == -3024)
    assert estimate(volume).sigma == pytest.approx(15, rel=0.05)


def test_plain_values_for_json() -> None:
    told = estimate(noisy_ball((48, 48, 40), 20, rician=False, masked=True))
    values = told.as_dict()
    assert values["sigma"] == told.sigma
    assert values["correlated"] is False
    assert len(values["correlation"]) == len(values["reach"]) == 3
    assert values["background_sigma"] is None
    assert values["advice"] == told.advice
    assert "map" not in values
    tiny = estimate(np.random.default_rng(7).normal(9, 1, (9, 9, 9))).as_dict()
    assert tiny["correlation"] == [None, None, None]


def test_an_image_without_noise() -> None:
    steps = np.repeat(np.arange(8.0), 8)[:, None, None] * np.ones((64, 40, 40))
    told = estimate(steps)
    assert told.sigma == 0
    assert told.advice == "No noise can be seen."


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((16, 16, 16), 3.0), "constant"),
        (np.full((16, 16, 16), np.nan), "no finite voxel"),
        (np.arange(27.0).reshape(3, 3, 3), "too small"),
        (np.random.default_rng(8).standard_normal((5, 5)), "too little image"),
        (1e300 * np.random.default_rng(8).standard_normal((20, 20, 20)), "too large"),
    ],
)
def test_what_has_no_noise(array: np.ndarray, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        estimate(array)


def test_coils_are_checked() -> None:
    with pytest.raises(ParameterError, match="coils"):
        estimate(np.ones((8, 8, 8)), coils=0)


def test_repeats_of_a_real_scan_say_the_same(shared_data: Path) -> None:
    scan = md.read(shared_data / "pairs" / "dti_2x11.nii.gz")
    told = estimate(scan)
    # The same eleven directions twice; the drift of the first pair (b = 0) is left out.
    first, second = scan.array[1:11].astype(np.float64), scan.array[12:22].astype(np.float64)
    brain = gaussian_filter(scan.array[0].astype(np.float64), 1.0) > 300
    difference = (first - second) / 2**0.5
    varies = gaussian_filter(difference.var(axis=0, ddof=1), 2.0)
    assert told.model == "rician"
    assert told.sigma == pytest.approx(np.median(varies[brain]) ** 0.5, rel=0.05)


def test_it_is_exported() -> None:
    from meddenoise import noise

    assert noise.estimate is estimate
    assert noise.NoiseEstimate is NoiseEstimate
