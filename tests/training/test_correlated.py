from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from meddenoise.data.patches import Item
from meddenoise.training import build_trainer
from meddenoise.training.correlated import correlation_of, warn_if_correlated

SETTINGS = {"patch": [16, 16, 16], "batch": 1, "steps": 1, "validate_every": 10, "device": "cpu"}


def noisy(blur: tuple[float, ...], shape: tuple[int, ...] = (48, 48, 48)) -> np.ndarray:
    """A smooth ball with noise that is blurred by so many voxels along each axis."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    ball = 100.0 * np.exp(-sum(a**2 for a in axes))
    noise = gaussian_filter(np.random.default_rng(0).normal(size=shape), blur)
    return (ball + 5 * noise / noise.std()).astype(np.float32)


def item(array: np.ndarray) -> Item:
    return Item(torch.from_numpy(array), None, 0.0, 1.0, (1.0,) * array.ndim, 100.0)


@pytest.fixture
def no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("no_warning")
@pytest.mark.parametrize("shape", [(48, 48, 48), (64, 64)])
@pytest.mark.parametrize("seed", range(4))
def test_independent_noise_is_no_news(shape: tuple[int, ...], seed: int) -> None:
    """Rician, small, with texture: chance and anatomy give coefficients of up to 0.2."""
    draws = np.random.default_rng(seed)
    texture = 5 * gaussian_filter(draws.normal(size=shape), 3) / 0.03
    real, imaginary = draws.normal(size=(2, *shape)) * 8
    scan = np.hypot(noisy((0,) * len(shape), shape) + texture + real, imaginary).astype(np.float32)
    warn_if_correlated([item(scan)], range(len(shape)), "SureTrainer")


@pytest.mark.usefixtures("no_warning")
def test_what_is_too_small_tells_nothing() -> None:
    small = [item(noisy((0, 0), (4, 4)))]
    assert correlation_of(small) is None
    warn_if_correlated(small, (0, 1), "SureTrainer")


@pytest.mark.usefixtures("no_warning")
def test_only_the_axes_that_matter_do() -> None:
    scans = [item(noisy((0, 0, 0.7)))]
    warn_if_correlated(scans, (0, 1), "ZSN2NTrainer")
    warn_if_correlated(scans, (), "SupervisedTrainer")


def test_of_slices_not_only_the_first_is_looked_at() -> None:
    slices = [np.zeros((48, 48), np.float32), *np.moveaxis(noisy((0.7, 0.7, 0), (48, 48, 5)), 2, 0)]
    with pytest.warns(UserWarning, match="along x .* and y "):
        warn_if_correlated([*map(item, slices)], (0, 1), "SureTrainer")


def test_along_some_axes_there_is_another_trainer() -> None:
    with pytest.warns(UserWarning, match=r"along x \(0\.\d+\), and Sure.*struct_noise2void"):
        warn_if_correlated([item(noisy((0.7, 0, 0)))], (0, 1, 2), "SureTrainer")


def test_along_all_axes_there_is_none() -> None:
    with pytest.warns(UserWarning, match=r"x .* and y .* and z .* clean partners") as said:
        warn_if_correlated([item(noisy((0.7, 0.7, 0.7)))], (0, 1, 2), "SureTrainer")
    assert "struct_noise2void" not in str(said[0].message)


@pytest.mark.parametrize(
    "name", ["noise2void", "sure", "unsure", "r2r", "staged", "zs_n2n", "neighbor2neighbor"]
)
def test_trainers_for_white_noise_say_so(name: str) -> None:
    scan = noisy((0.7, 0.7, 0.7))
    with pytest.warns(UserWarning, match="The noise is correlated"):
        build_trainer(name).fit(scan, **SETTINGS)


@pytest.mark.usefixtures("no_warning")
def test_structured_noise2void_is_for_such_noise() -> None:
    build_trainer("struct_noise2void").fit(noisy((0.7, 0, 0)), **SETTINGS)
    build_trainer("neighbor2neighbor", axes=[1, 2]).fit(noisy((0.7, 0, 0)), **SETTINGS)
