"""Time is what a clock says that goes on by itself: what comes out does not depend on the load."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ParameterError
from meddenoise.filters import bm4d
from meddenoise.inference import Denoiser
from meddenoise.noise.mri import kspace_filter
from meddenoise.noise.residual_noise import ResidualNoise
from meddenoise.training.recombined import Recombination
from meddenoise.training.recorruption import Recorruption
from meddenoise.training.refine import _pairs, _recombined, refine

SIGMA = 0.5


class Clock:
    """Goes on by a twentieth of a second whenever it is looked at, which is what work takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.05
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def scan(seed: int = 0, shape: tuple[int, ...] = (64, 64, 48)) -> tuple[np.ndarray, np.ndarray]:
    """Flat regions with borders between them, and white noise."""
    draws = np.random.default_rng(seed)
    clean = 3.0 * (gaussian_filter(draws.standard_normal(shape), 6) > 0)
    return clean, (clean + SIGMA * draws.standard_normal(shape)).astype(np.float32)


def blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """A poor filter: it leaves much to be learned."""
    return np.asarray(gaussian_filter(array, 2.5))


def test_the_network_learns_what_a_poor_filter_left_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What a few numbers do comes first, and leaves nothing undone here.
    monkeypatch.setattr(Recombination, "learned", lambda *_, **__: None)
    clean, noisy = scan()
    done = refine(noisy, blur, sigma=SIGMA, seconds=12, spacing=(1, 1, 1))
    assert done.steps > 5
    assert done.refined
    assert not done.recombined
    assert done.gain > 0
    before = np.square(blur(noisy, SIGMA) - clean).mean()
    assert np.square(done.image - clean).mean() < 0.8 * before
    assert (done.image.shape, done.image.dtype) == (noisy.shape, noisy.dtype)


def test_noise_that_neighbours_share_is_not_left_in() -> None:
    """Zero filling from 90 % of k-space: learning from white recorruptions would keep it."""
    clean, _ = scan(seed=1)
    h = kspace_filter(clean.shape[:2], zero_filling=1 / 0.9).numpy()[..., None]
    drawn = np.random.default_rng(2).standard_normal(clean.shape)
    noise = np.fft.ifftn(h * np.fft.fftn(drawn)).real
    noisy = (clean + SIGMA * noise / noise.std()).astype(np.float32)

    def filter_(array: np.ndarray, sigma: float) -> np.ndarray:
        return np.asarray(bm4d(array, spacing=(1, 1, 1), sigma_noise=sigma))

    done = refine(noisy, filter_, sigma=SIGMA, seconds=15, spacing=(1, 1, 1))
    assert done.steps > 5
    before = np.square(filter_(noisy, SIGMA) - clean).mean()
    assert np.square(done.image - clean).mean() < before


def test_where_the_noise_is_not_as_was_said_nothing_is_learned() -> None:
    _, noisy = scan()
    for said in (SIGMA / 1.5, SIGMA * 1.5):
        done = refine(noisy, blur, sigma=said, seconds=5, spacing=(1, 1, 1))
        assert (done.steps, done.refined) == (0, False)
        assert np.array_equal(done.image, blur(noisy, said))


def test_what_cannot_be_bettered_stays() -> None:
    """The filter knows the truth, so any correction of it loses on what was held out."""
    clean, noisy = scan(shape=(64, 48))

    begins = {64: 0, 48: 0, 16: 48}  # the scan, the part that is learned from, the other

    def oracle(array: np.ndarray, sigma: float) -> np.ndarray:
        first = begins[len(array)]
        return np.asarray(clean[first : first + len(array)], dtype=np.float32)

    done = refine(noisy, oracle, sigma=SIGMA, seconds=3, spacing=(1, 1))
    assert not done.refined
    assert np.array_equal(done.image, clean.astype(np.float32))


def test_no_time_left_gives_the_filter_alone() -> None:
    _, noisy = scan(shape=(40, 40))
    done = refine(noisy, blur, sigma=SIGMA, seconds=1e-6, spacing=(1, 1))
    assert (done.steps, done.gain, done.refined) == (0, 0.0, False)
    assert np.array_equal(done.image, blur(noisy, SIGMA))


@pytest.mark.parametrize(("seconds", "sigma"), [(0, 1), (-1, 1), (5, 0), (float("nan"), 1)])
def test_impossible_numbers(seconds: float, sigma: float) -> None:
    with pytest.raises(ParameterError, match="above 0"):
        refine(scan(shape=(40, 40))[1], blur, sigma=sigma, seconds=seconds, spacing=(1, 1))


def test_a_floor_above_all_leaves_the_filter_alone() -> None:
    _, noisy = scan(shape=(64, 48))
    done = refine(noisy, blur, sigma=SIGMA, seconds=2, spacing=(1, 1), floor=1e3)
    assert not done.refined
    assert np.array_equal(done.image, blur(noisy, SIGMA).astype(np.float32))


def test_a_slow_filter_keeps_to_the_time(clock: Clock) -> None:
    """There is time for it once, and not once more to measure the noise."""
    _, noisy = scan(shape=(40, 40, 40))
    calls = []

    def slow(array: np.ndarray, sigma: float) -> np.ndarray:
        calls.append(array.shape)
        clock.now += 1.0
        return blur(array, sigma)

    done = refine(noisy, slow, sigma=SIGMA, seconds=1.8, spacing=(1, 1, 1))
    assert (len(calls), done.steps) == (1, 0)


def test_a_slow_network_keeps_to_the_time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A pass over a quarter takes a second, and over all of it four more: there are but five, of
    which one goes to set things up. What takes no network is done all the same."""
    clean, noisy = scan(shape=(64, 48, 32))
    calls = []

    class Slow(Denoiser):
        def run(self, image: torch.Tensor) -> torch.Tensor:
            calls.append(image.shape)
            clock.now += 1.0
            return super().run(image)

    monkeypatch.setattr("meddenoise.training.corrector.Denoiser", Slow)
    done = refine(noisy, blur, sigma=SIGMA, seconds=5, spacing=(1, 1, 1))
    assert (len(calls), done.steps) == (2, 0)
    assert (done.refined, done.recombined) == (False, True)
    before = np.square(blur(noisy, SIGMA) - clean).mean()
    assert np.square(done.image - clean).mean() < 0.8 * before


def test_what_changes_the_scan_more_than_what_it_was_learned_from_has_no_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The part that is learned from is flat, and the detail lies where it is not seen."""
    _, noisy = scan()
    white = ResidualNoise(np.full((1, 1, 1), SIGMA**2))
    recorruption = Recorruption(blur, lambda *_: (), white, SIGMA, 0)
    flat = SIGMA * np.random.default_rng(3).standard_normal((32, 32, 32)).astype(np.float32)
    copies = [recorruption.of(flat, number) for number in range(2)]
    held = recorruption.of(flat, 2)
    detail = 10 * (noisy - blur(noisy, SIGMA))

    class Wild(Recombination):
        def of(self, noisy: np.ndarray, filtered: np.ndarray, *_: object) -> np.ndarray:
            return filtered + (detail if noisy.shape == detail.shape else 0.01 * noisy)

    wild = Wild(np.zeros(1), (1, 1, 1), -np.inf)
    monkeypatch.setattr(Recombination, "learned", lambda *_, **__: wild)
    asked = (noisy, blur(noisy, SIGMA), (), recorruption, copies, held, (1, 1, 1), None)
    assert _recombined(*asked) is None
    monkeypatch.setattr("meddenoise.training.refine._UNUSUAL", np.inf)
    assert _recombined(*asked) is not None


@pytest.mark.parametrize(
    ("seconds", "pairs", "part"),
    [
        (50.0, 2, (80, 60, 50)),
        (30.0, 1, (80, 60, 50)),
        (3.0, 1, (40, 32, 32)),
    ],
)
def test_recorruptions_are_as_many_and_as_large_as_there_is_time_for(
    seconds: float, pairs: int, part: tuple[int, ...]
) -> None:
    assert _pairs((80, 60, 50), spent=10.0, seconds=seconds) == (pairs, part)


def test_what_else_is_made_of_a_scan_has_a_say() -> None:
    clean, noisy = scan(shape=(80, 64))
    asked = []

    def others(array: np.ndarray, filtered: np.ndarray, sigma: float) -> list[np.ndarray]:
        assert filtered.shape == array.shape
        asked.append(sigma)
        return [np.asarray(gaussian_filter(array, 1.0))]

    how = {"sigma": SIGMA, "seconds": 6, "spacing": (1, 1)}
    done = refine(noisy, blur, others=others, **how)
    assert asked[0] == SIGMA
    assert asked[1] == pytest.approx(SIGMA / 0.85**0.5)
    assert done.recombined
    assert np.square(done.image - clean).mean() < 0.8 * np.square(blur(noisy, 0) - clean).mean()
