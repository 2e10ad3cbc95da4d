from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.noise import build_noise, simulate
from meddenoise.training.partners import warn_if_unlike
from meddenoise.training.prepare import Prepared
from meddenoise.volume import Volume


def clean(seed: int = 0) -> np.ndarray:
    """Air around a body, in HU."""
    shape = gaussian_filter(np.random.default_rng(seed).standard_normal((40, 40, 20)), 4)
    body = np.hypot(*np.indices(shape.shape)[:2] - 19.5) < 16
    return np.where(body, 2000 * shape / shape.std() * 0.1, -1000.0)


def scan(image: np.ndarray, truth: np.ndarray | None, name: str = "one") -> Prepared:
    partner = None if truth is None else Volume.from_array(truth.astype(np.float32))
    return Prepared(name, Volume.from_array(image.astype(np.float32)), partner)


def noisy(truth: np.ndarray, sigma: float, seed: int = 1) -> np.ndarray:
    return truth + sigma * np.random.default_rng(seed).standard_normal(truth.shape)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda x: x + 1024, "mean they lie 1.02e"),  # stored values, and HU
        (lambda x: x / 1000, "rise by 0.00"),
        (lambda x: (x - x.mean()) / x.std(), "rise by 0.00"),
        (lambda x: -x, "rise by -1"),
        (lambda x: np.random.default_rng(5).permuted(x), "rise by"),
    ],
)
def test_another_unit_or_another_scan_is_said(
    made: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    truth = clean()
    with pytest.warns(UserWarning, match=f"one differs from its partner.*{said}"):
        warn_if_unlike([scan(made(noisy(truth, 50)), truth)], clean=True)


def test_a_scan_that_is_its_own_partner_is_said() -> None:
    truth = clean()
    scans = [scan(noisy(truth, 50), truth, "good"), scan(truth, truth, "same")]
    with pytest.warns(UserWarning, match="same is its own partner, voxel by voxel"):
        warn_if_unlike(scans, clean=True)


@pytest.mark.parametrize("sigma", [1.0, 100.0, 1000.0])
@pytest.mark.parametrize("both", [False, True])
def test_noise_makes_no_difference(sigma: float, both: bool) -> None:
    truth = clean()
    partner = noisy(truth, sigma, seed=2) if both else truth
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_unlike([scan(noisy(truth, sigma), partner)], clean=not both)


@pytest.mark.parametrize("share", [0.01, 1.0])
@pytest.mark.parametrize("level", ["20%", "50%"])
def test_a_magnitude_may_have_strong_noise(share: float, level: str) -> None:
    """Also where next to nothing is bright, as in an angiogram."""
    array = clean() + 1000
    array *= np.random.default_rng(0).random(array.shape) < share
    truth = Volume.from_array(array.astype(np.float32))
    made = simulate(truth, build_noise("rician", sigma=level), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_unlike([Prepared("one", made, truth)], clean=True)


def test_of_several_the_first_is_named() -> None:
    truth = clean()
    scans = [scan(truth, truth, "right"), *(scan(2.5 * truth, truth, name) for name in "ab")]
    scans += [scan(truth, None, "alone"), Prepared("made", scans[1].volume, scans[1].truth, True)]
    with pytest.warns(UserWarning, match="^a differs.*So it is with 2 of 3 scans"):
        warn_if_unlike(scans, clean=True)


def test_two_noisy_scans_are_compared_by_their_spread() -> None:
    truth = clean()
    pair = scan(noisy(truth, 100), 3 * noisy(truth, 100, seed=2))
    with pytest.warns(UserWarning, match="one differs from its partner"):
        warn_if_unlike([pair], clean=False)


def test_what_was_not_measured_and_constants_do_not_count() -> None:
    truth = clean()
    truth[:10] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_unlike(
            [scan(noisy(truth, 50), truth), scan(truth, np.zeros(truth.shape))], clean=True
        )
