from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.training.recombined import Recombination, powers

SIGMA = 0.5
HOW = {"sigma": SIGMA, "spacing": (1, 1, 1), "floor": -np.inf}


def scan(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat regions with borders between them, and white noise, twice."""
    draws = np.random.default_rng(seed)
    shape = (48, 40, 32)
    clean = 3.0 * (gaussian_filter(draws.standard_normal(shape), 4) > 0)
    noisy, target = (clean + SIGMA * draws.standard_normal(shape) for _ in range(2))
    return clean, noisy.astype(np.float32), target.astype(np.float32)


def blur(noisy: np.ndarray, width: float) -> np.ndarray:
    return np.asarray(gaussian_filter(noisy, width))


@pytest.mark.parametrize("width", [0.4, 1.5])
def test_what_a_filter_took_too_little_or_too_much_of_is_mended(width: float) -> None:
    _, noisy, target = scan()
    few = Recombination.learned([(noisy, blur(noisy, width), target)], **HOW)
    assert few is not None
    clean, other, _ = scan(seed=1)
    before = blur(other, width)
    after = few.of(other, before, SIGMA)
    assert (after.shape, after.dtype) == (other.shape, np.float32)
    assert np.square(after - clean).mean() < 0.8 * np.square(before - clean).mean()


def test_neither_the_unit_nor_the_zero_matters() -> None:
    _, noisy, target = scan()
    made = []
    for factor, offset in ((1.0, 0.0), (200.0, 1000.0)):
        y, t = (np.float32(factor) * image + np.float32(offset) for image in (noisy, target))
        how = HOW | {"sigma": factor * SIGMA}
        few = Recombination.learned([(y, blur(y, 1.5), t)], **how)
        assert few is not None
        made.append((few.of(y, blur(y, 1.5), factor * SIGMA) - offset) / factor)
    np.testing.assert_allclose(made[0], made[1], atol=2e-3)


def test_nothing_is_learned_by_chance() -> None:
    clean, noisy, target = scan()
    perfect = clean.astype(np.float32)
    assert Recombination.learned([(noisy, perfect, target)], **HOW) is None
    # What few voxels of their own can tell is not enough.
    assert Recombination.learned([(noisy, blur(noisy, 1.5), target)], **HOW, voxels=1e5) is None


def test_the_local_mean_and_what_is_dark_stay() -> None:
    _, noisy, target = scan()
    before = blur(noisy, 1.5)
    few = Recombination.learned([(noisy, before, target)], **HOW | {"floor": 1.5})
    assert few is not None
    change = few.of(noisy, before, SIGMA) - before
    assert (change[before < 1.5] == 0).all()
    assert change.std() > 0.02
    whole = Recombination.learned([(noisy, before, target)], **HOW)
    assert whole is not None
    change = whole.of(noisy, before, SIGMA) - before
    assert abs(blur(change, 9)).max() < 0.1 * change.std()


def test_thick_slices_are_smoothed_less_across() -> None:
    _, noisy, target = scan()
    before = np.asarray(gaussian_filter(noisy, (1.5, 1.5, 0.2)))
    how = HOW | {"spacing": (1, 1, 5)}
    few = Recombination.learned([(noisy, before, target)], **how)
    assert few is not None
    flat = np.zeros_like(noisy)
    flat[20, 20, 16] = 1
    spread = few.of(flat, np.zeros_like(flat), SIGMA)
    # Beside the mean over a cube, which is taken off.
    assert abs(spread[20, 20, 13] - spread[20, 20, 14]) < 1e-3
    assert abs(spread[17, 20, 16] - spread[18, 20, 16]) > 1e-2


def test_what_other_filters_know_is_taken() -> None:
    clean, noisy, target = scan()
    knows = np.asarray(clean + gaussian_filter(noisy - clean, 1), dtype=np.float32)
    before = blur(noisy, 2.5)
    alone = Recombination.learned([(noisy, before, target)], **HOW)
    few = Recombination.learned([(noisy, before, target, [knows])], **HOW)
    assert alone is not None
    assert few is not None
    assert len(few.weights) == len(alone.weights) + 2  # once more in detail
    errors = [
        np.square(image - clean).mean()
        for image in (few.of(noisy, before, SIGMA, [knows]), alone.of(noisy, before, SIGMA))
    ]
    assert errors[0] < 0.5 * errors[1]


def test_what_is_hardly_there_to_learn_from_is_not_let_loose_on_the_scan() -> None:
    """The part that is learned from is nearly flat, and the scan is not."""
    clean, noisy, _ = scan()
    draws = np.random.default_rng(5)
    flat = 1e-3 * clean[:24, :24, :24]
    y, t = ((flat + SIGMA * draws.standard_normal(flat.shape)).astype(np.float32) for _ in range(2))
    power = powers(noisy, blur(noisy, 1.5), **HOW)
    changed = []
    for more in ({}, {"powers": power}):
        few = Recombination.learned([(y, blur(y, 1.5), t)], **HOW, **more)
        assert few is not None
        changed.append(np.square(few.of(noisy, blur(noisy, 1.5), SIGMA) - blur(noisy, 1.5)).mean())
    assert changed[1] < 0.25 * changed[0]
