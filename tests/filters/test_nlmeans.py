from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import nlmeans


def by_hand(
    noisy: np.ndarray, at: tuple[int, ...], patch: tuple[int, ...], reach: tuple[int, ...]
) -> float:
    """The formula at one voxel, with sigma 1 and strength 0.9."""

    def around(place: tuple[int, ...]) -> np.ndarray:
        return noisy[tuple(slice(p - k, p + k + 1) for p, k in zip(place, patch, strict=True))]

    weights, values = [], []
    for shift in itertools.product(*(range(-r, r + 1) for r in reach)):
        if any(shift):
            place = tuple(p + s for p, s in zip(at, shift, strict=True))
            unlike = np.mean((around(place) - around(at)) ** 2)
            weights.append(np.exp(-max(unlike - 2, 0) / 0.9**2))
            values.append(noisy[place])
    weights.append(max(weights))
    values.append(noisy[at])
    return float(np.average(values, weights=weights))


@pytest.mark.parametrize(
    ("shape", "spacing", "patch", "reach"),
    [
        ((12, 11, 10), (1, 1, 1), (1, 1, 1), (2, 2, 2)),
        ((18, 17, 10), (1, 1, 4), (2, 2, 0), (4, 4, 1)),
        ((24, 22), (1, 1), (2, 2), (6, 6)),
    ],
    ids=["cubes", "thick slices", "2-D"],
)
def test_by_hand(
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    patch: tuple[int, ...],
    reach: tuple[int, ...],
) -> None:
    noisy = 50 + 2 * np.random.default_rng(0).standard_normal(shape)
    filtered = nlmeans(noisy, spacing=spacing, sigma_noise=1)
    at = tuple(n // 2 for n in shape)
    assert filtered[at] == pytest.approx(by_hand(noisy, at, patch, reach), abs=1e-4)
    assert filtered.dtype == np.float64


def test_what_is_alone_stays() -> None:
    image = np.zeros((16, 16, 16), np.float32)
    image[8, 8, 8] = 100
    np.testing.assert_allclose(nlmeans(image, spacing=(1, 1, 1), sigma_noise=1), image, atol=1e-4)


def test_the_bias_of_rician_noise_is_taken_off() -> None:
    draws = np.random.default_rng(0).standard_normal((2, 40, 40, 40))
    magnitude = np.hypot(20 + 10 * draws[0], 10 * draws[1])
    plain = nlmeans(magnitude, spacing=(1, 1, 1), sigma_noise=10)
    aware = nlmeans(magnitude, spacing=(1, 1, 1), sigma_noise=10, rician=True)
    assert plain.mean() - 20 > 2
    assert aware.mean() == pytest.approx(20, abs=0.5)
    assert aware.std() < 0.3 * magnitude.std()


def test_planes_at_a_time_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = np.random.default_rng(0).normal(0, 3, (30, 12, 10)).astype(np.float32)
    whole = nlmeans(noisy, spacing=(1, 1, 1), sigma_noise=3)
    module = importlib.import_module("meddenoise.filters.nlmeans")
    monkeypatch.setattr(module, "_CACHED", 7 * 12 * 10)
    np.testing.assert_allclose(nlmeans(noisy, spacing=(1, 1, 1), sigma_noise=3), whole, atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 9), (7, 6, 5)])
def test_nothing_is_searched_beyond_the_image(shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(1).normal(0, 3, shape)
    spacing = (1.0,) * len(shape)
    all_of_it = nlmeans(noisy, spacing=spacing, sigma_noise=3, search=max(shape))
    far = nlmeans(noisy, spacing=spacing, sigma_noise=3, search=10**6)
    np.testing.assert_array_equal(far, all_of_it)


def test_without_noise_nothing_changes() -> None:
    flat = np.full((8, 8), 7.0)
    np.testing.assert_array_equal(nlmeans(flat, spacing=(1, 1), sigma_noise=0), flat)


@pytest.mark.parametrize("option", [{"search": 0}, {"strength": 0.0}])
def test_impossible_options(option: dict) -> None:
    with pytest.raises(ParameterError, match=next(iter(option))):
        nlmeans(np.zeros((8, 8)), spacing=(1, 1), sigma_noise=1, **option)
