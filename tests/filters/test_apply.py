from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.evaluation import compare
from meddenoise.filters import (
    apply_filter,
    filter_names,
    filter_options,
    gaussian,
    is_joint,
    median,
    register_filter,
    registry,
)
from meddenoise.filters.apply import fill_invalid
from meddenoise.filters.registry import asks_correlation
from meddenoise.noise import estimate_sigma
from meddenoise.noise.correlation import Correlation
from meddenoise.volume import Volume


def scan(channels: int = 2) -> Volume:
    array = np.random.default_rng(0).normal(100, 5, (channels, 16, 18, 12)).astype(np.float32)
    return Volume(array, np.diag([1.0, 1.0, 1.5, 1.0]), units="HU", modality="CT")


def test_each_channel_is_filtered_on_its_own() -> None:
    clean = scan()
    before = clean.array.copy()
    result = apply_filter(clean, "gaussian", sigma=0.8)
    for channel in range(2):
        expected = gaussian(before[channel], spacing=(1, 1, 1.5), sigma=0.8)
        np.testing.assert_array_equal(result.array[channel], expected)
    assert result.history == ("filtered by gaussian, sigma 0.8",)
    assert (result.units, result.modality) == ("HU", "CT")
    np.testing.assert_array_equal(clean.array, before)


def test_identity_is_identical_to_the_bit() -> None:
    array = scan().array.copy()
    array[0, 0, 0, :3] = [np.nan, np.inf, -np.inf]
    result = apply_filter(Volume(array, np.eye(4)), "identity")
    np.testing.assert_array_equal(result.array.view(np.uint32), array.view(np.uint32))
    assert result.history == ("filtered by identity",)


@pytest.mark.parametrize("shape", [(48, 48), (24, 24, 16)])
@pytest.mark.parametrize("name", [name for name in filter_names() if not is_joint(name)])
def test_a_mask_has_no_noise_to_divide_by(name: str, shape: tuple[int, ...]) -> None:
    inside = np.zeros(shape, np.float32)
    inside[tuple(slice(n // 4, 3 * n // 4) for n in shape)] = 1
    result = apply_filter(Volume.from_array(inside), name)
    assert np.isfinite(result.array).all()


@pytest.mark.parametrize("name", filter_names())
def test_what_was_not_measured_is_kept_and_does_not_leak(name: str) -> None:
    array = scan(12 if is_joint(name) else 1).array.copy()
    array[:, :5] = -3024
    array[0, 9, 9, 5] = np.nan
    padding = array == -3024
    result = apply_filter(Volume(array, np.eye(4), padding=padding), name)
    np.testing.assert_array_equal(result.array[:, :5], -3024)
    assert np.isnan(result.array[0, 9, 9, 5])
    measured = result.array[result.valid]
    assert 70 < measured.min() < measured.max() < 130


def test_a_channel_without_any_measured_voxel() -> None:
    array = scan().array.copy()
    array[1] = np.nan
    result = apply_filter(Volume(array, np.eye(4)), "median")
    assert np.isnan(result.array[1]).all()
    np.testing.assert_array_equal(result.array[0], median(array[0], spacing=(1, 1, 1)))


def test_holes_are_filled_from_close_by() -> None:
    array = np.zeros((40, 40), dtype=np.float32)
    array[:20] = 10
    valid = np.ones(array.shape, dtype=bool)
    valid[3, 3] = valid[35, 35] = False
    valid[12:30, 5:35] = False
    holed = np.where(valid, array, np.nan)
    filled = fill_invalid(holed, valid)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[valid], array[valid])
    assert filled[3, 3] == pytest.approx(10)
    assert filled[35, 35] == pytest.approx(0)
    assert filled[13, 20] == pytest.approx(10)
    assert filled[20, 20] == pytest.approx(array[valid].mean())


def test_doubles_stay_doubles() -> None:
    volume = Volume(scan().array.astype(np.float64), np.eye(4))
    assert apply_filter(volume, "gaussian").array.dtype == np.float64


def test_two_dimensions() -> None:
    image = Volume.from_array(scan().array[0, :, :, 0], spacing=(1, 1))
    assert apply_filter(image, "median").array.shape == (1, 16, 18)


@pytest.fixture
def own_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register filters that are gone afterwards."""
    monkeypatch.setattr(registry._FILTERS, "_parts", dict(registry._FILTERS._parts))


@pytest.mark.usefixtures("own_filters")
def test_a_filter_that_writes_into_its_array_leaves_the_scan_alone() -> None:
    @register_filter("test_in_place")
    def in_place(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        array += 1
        return array

    volume = scan()
    before = volume.array.copy()
    np.testing.assert_allclose(apply_filter(volume, "test_in_place").array, before + 1)
    np.testing.assert_array_equal(volume.array, before)


@pytest.mark.usefixtures("own_filters")
def test_what_a_filter_makes_is_numbers() -> None:
    @register_filter("test_made")
    def made(array, *, spacing, sigma_noise=None, as_list: bool = False):  # type: ignore[no-untyped-def]
        return array.tolist() if as_list else array * 1j

    volume = scan()
    same = apply_filter(volume, "test_made", as_list=True)
    np.testing.assert_array_equal(same.array, volume.array)
    with pytest.raises(ParameterError, match="made values of type complex64"):
        apply_filter(volume, "test_made")


@pytest.mark.usefixtures("own_filters")
@pytest.mark.parametrize("factor", [np.nan, 1e60])
def test_what_a_filter_makes_is_finite(factor: float) -> None:
    @register_filter("test_made")
    def made(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        return array.astype(np.float64) * factor

    with pytest.raises(ParameterError, match="'test_made' made values that are not finite"):
        apply_filter(scan(), "test_made")


@pytest.mark.usefixtures("own_filters")
def test_where_nothing_was_measured_a_filter_may_make_anything() -> None:
    @register_filter("test_made")
    def made(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        return np.where(array == array[0, 0, 0], np.nan, array + 1)  # there it is one fill value

    array = np.random.default_rng(0).normal(size=(1, 8, 8, 8)).astype(np.float32)
    array[0, 0] = np.nan
    filtered = apply_filter(Volume(array, np.eye(4)), "test_made")
    np.testing.assert_array_equal(filtered.array, array + 1)


def test_wrong_names_and_values() -> None:
    with pytest.raises(ConfigError, match=r"no filter 'medain'.*'median'"):
        apply_filter(scan(), "medain")
    with pytest.raises(ConfigError, match="sgima"):
        apply_filter(scan(), "gaussian", sgima=1)
    with pytest.raises(ConfigError, match="sigma"):
        apply_filter(scan(), "gaussian", sigma="wide")
    with pytest.raises(ParameterError, match="sigma_noise is -1"):
        apply_filter(scan(), "median", sigma_noise=-1)


@pytest.mark.parametrize("shape", [(1, 8, 8, 8), (3, 8, 8)])
def test_a_joint_filter_wants_a_4_d_scan(shape: tuple[int, ...]) -> None:
    told = "is one volume" if len(shape) == 4 else "is a picture"
    with pytest.raises(ParameterError, match=f"'mppca'.*4-D.*{told}"):
        apply_filter(Volume(np.ones(shape, np.float32), np.eye(4)), "mppca")


def test_the_noise_that_was_told_is_noted() -> None:
    result = apply_filter(scan(1), "bilateral", sigma_noise=5, width=0.8)
    assert result.history == ("filtered by bilateral, width 0.8, noise sigma 5",)


@pytest.mark.usefixtures("own_filters")
def test_what_the_scan_tells_of_its_noise_is_told_and_noted() -> None:
    # Correlated noise, as CT has it: the finest band alone sees a fraction of it.
    draws = gaussian_filter(np.random.default_rng(0).standard_normal((64, 64, 24)), (1, 1, 0))
    array = 40 + 10 / draws.std() * draws
    volume = Volume(array[None], np.diag([1, 1, 3, 1]), units="HU", modality="CT")
    told = {}

    @register_filter("asks", noise="width")
    def asks(array, *, spacing, sigma_noise=None, width: float | None = None):  # type: ignore[no-untyped-def]
        told["sigma"] = sigma_noise
        return array

    assert estimate_sigma(array) < 5
    result = apply_filter(volume, "asks")
    assert told["sigma"] == pytest.approx(10, rel=0.2)
    assert result.history == (f"filtered by asks, noise sigma estimated as {told['sigma']:.4g}",)
    # Who chooses the width asks for no noise.
    apply_filter(volume, "asks", width=2.0)
    assert told["sigma"] is None
    # And what cannot be told is left to the filter.
    apply_filter(Volume.from_array(np.ones((4, 4, 4))), "asks")
    assert told["sigma"] is None


@pytest.mark.usefixtures("own_filters")
def test_how_noise_is_correlated_is_told_and_noted() -> None:
    draws = gaussian_filter(np.random.default_rng(0).standard_normal((64, 64, 24)), (1, 0, 0))
    volume = Volume.from_array((100 + 10 / draws.std() * draws).astype(np.float32))
    told = {}

    @register_filter("asks")
    def asks(array, *, spacing, sigma_noise=None, correlation=None):  # type: ignore[no-untyped-def]
        told["correlation"] = correlation
        return array

    assert asks_correlation("asks")
    assert not asks_correlation("gaussian")
    assert filter_options("asks") == {}
    result = apply_filter(volume, "asks", sigma_noise=10)
    assert told["correlation"].nearest == pytest.approx((0.78, 0, 0), abs=0.05)
    noted = "filtered by asks, noise sigma 10, noise correlated along x"
    assert result.history == (noted,)
    # Who knows better says so.
    known = Correlation(((0.0,), (0.5,), (0.5,)))
    result = apply_filter(volume, "asks", correlation=known)
    assert told["correlation"] is known
    assert result.history == ("filtered by asks, noise correlated along y and z",)
    apply_filter(Volume.from_array(np.ones((4, 4, 4))), "asks")
    assert told["correlation"] is None


@pytest.mark.usefixtures("own_filters")
def test_a_joint_filter_is_told_of_the_first_channel_that_tells() -> None:
    draws = gaussian_filter(np.random.default_rng(0).standard_normal((48, 48, 24)), (1, 0, 0))
    array = np.stack([np.ones_like(draws), 100 + 10 / draws.std() * draws]).astype(np.float32)
    told = {}

    @register_filter("asks", joint=True, noise=True)
    def asks(array, *, spacing, sigma_noise=None, correlation=None):  # type: ignore[no-untyped-def]
        told["correlation"], told["sigma"] = correlation, sigma_noise
        return array

    apply_filter(Volume(array, np.eye(4)), "asks", sigma_noise=10)
    assert told["correlation"].axes == (0,)
    apply_filter(Volume(array, np.eye(4)), "asks")
    assert told["sigma"] == pytest.approx(10, rel=0.1)


def test_they_denoise_a_real_head(shared_data: Path) -> None:
    """Each by its own choice of parameters, at little and at much noise. Ten seconds."""
    nibabel = pytest.importorskip("nibabel")
    head = np.asarray(nibabel.load(shared_data / "mri/cit168_t1.nii.gz").dataobj, np.float32)
    head = head.clip(0) / np.percentile(head, 99.9)
    middle = zip(head.shape, (64, 64, 48), strict=True)
    crop = head[tuple(slice((n - k) // 2, (n - k) // 2 + k) for n, k in middle)]
    # In dB, as measured: one that does worse has lost its way of choosing.
    expected = {
        "anisotropic_diffusion": (33.5, 27.4),
        "bilateral": (32.8, 26.7),
        "bm4d": (37.0, 30.4),
        "curvature_flow": (33.0, 27.1),
        "gaussian": (32.3, 26.6),
        "mean": (30.3, 25.0),
        "median": (28.2, 25.9),
        "nlmeans": (35.3, 29.2),
        "total_variation": (33.1, 27.0),
        "wavelet": (34.5, 27.8),
    }
    draws = np.random.default_rng(0).standard_normal(crop.shape)
    for number, sigma in enumerate((0.03, 0.1)):
        noisy = Volume.from_array(crop + sigma * draws)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The mean of neighbours")
            reached = {
                name: compare(crop, apply_filter(noisy, name).array[0], data_range=1).psnr
                for name in expected
            }
        assert {n: v for n, v in reached.items() if v < expected[n][number]} == {}
