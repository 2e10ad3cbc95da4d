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
def test_independent_noise_is_no_news() -> None:
    warn_if_correlated([item(noisy((0, 0, 0)))], "SureTrainer")


@pytest.mark.usefixtures("no_warning")
def test_what_is_too_small_tells_nothing() -> None:
    small = [item(noisy((0, 0), (4, 4)))]
    assert correlation_of(small) is None
    warn_if_correlated(small, "SureTrainer")


def test_along_some_axes_there_is_another_trainer() -> None:
    with pytest.warns(UserWarning, match=r"along x \(0\.\d+\), and Sure.*struct_noise2void"):
        warn_if_correlated([item(noisy((0.7, 0, 0)))], "SureTrainer")


def test_along_all_axes_there_is_none() -> None:
    with pytest.warns(UserWarning, match=r"x .* and y .* and z .* clean partners") as said:
        warn_if_correlated([item(noisy((0.7, 0.7, 0.7)))], "SureTrainer")
    assert "struct_noise2void" not in str(said[0].message)


@pytest.mark.parametrize("name", ["noise2void", "sure", "unsure", "r2r", "staged", "zs_n2n"])
def test_trainers_for_white_noise_say_so(name: str) -> None:
    scan = noisy((0.7, 0.7, 0.7))
    with pytest.warns(UserWarning, match="The noise is correlated"):
        build_trainer(name).fit(scan, **SETTINGS)


@pytest.mark.usefixtures("no_warning")
def test_structured_noise2void_is_for_such_noise() -> None:
    build_trainer("struct_noise2void").fit(noisy((0.7, 0, 0)), **SETTINGS)
