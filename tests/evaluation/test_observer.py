from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.evaluation.observer import (
    detectability_gain,
    hotelling_observer,
    laguerre_gauss,
)

SIDE = 21


def patches(count: int, seed: int, signal: np.ndarray | float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, SIDE, SIDE)) + signal


@pytest.mark.parametrize("shape", [(41, 41), (31, 31, 31)])
def test_channels_are_orthogonal_where_they_have_room(shape: tuple[int, ...]) -> None:
    made = laguerre_gauss(shape, width=6, count=4).reshape(4, -1)
    assert made @ made.T == pytest.approx(np.eye(4), abs=2e-3)
    fine = laguerre_gauss((81, 81), width=6, spacing=(0.5, 0.5), count=2)
    assert fine.reshape(2, -1) @ fine.reshape(2, -1).T == pytest.approx(np.eye(2), abs=2e-3)
    with pytest.raises(ParameterError, match="width"):
        laguerre_gauss(shape, width=0)


def test_white_noise_gives_the_length_of_the_signal() -> None:
    channels = laguerre_gauss((SIDE, SIDE), width=8)
    signal = 2.0 * channels[0] + 0.8 * channels[1]
    expected = float(np.linalg.norm(signal))  # d' of the ideal observer at sigma 1
    found = hotelling_observer(patches(150, 0, signal), patches(150, 1), channels)
    assert found.d_prime.value == pytest.approx(expected, rel=0.12)
    assert found.d_prime.low < expected < found.d_prime.high
    # Two normal distributions: AUC = Phi(d' / sqrt(2)).
    assert found.auc.value == pytest.approx(0.932, abs=0.03)
    assert found.as_dict()["auc"]["low"] < 0.932 < found.as_dict()["auc"]["high"]


def test_without_a_signal_it_guesses() -> None:
    channels = laguerre_gauss((SIDE, SIDE), width=8)
    found = [
        hotelling_observer(patches(30, 2 * k, 0), patches(30, 2 * k + 1), channels).auc.value
        for k in range(8)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)  # having seen them it would be 0.7


def test_correlated_noise_is_whitened() -> None:
    channels = laguerre_gauss((SIDE, SIDE), width=8, count=2)
    draws = np.random.default_rng(0)

    def noisy(signal: np.ndarray | float) -> np.ndarray:
        # The channels' noise is correlated by 0.8: white observers would lose the difference.
        one, other = draws.normal(0, 1, (2, 120, 1, 1))
        other = 0.8 * one + 0.6 * other
        return one * channels[0] + other * channels[1] + signal

    signal = 0.8 * channels[0] - 0.8 * channels[1]
    covariance = np.array([[1, 0.8], [0.8, 1]])
    apart = np.array([0.8, -0.8])
    expected = np.sqrt(apart @ np.linalg.solve(covariance, apart))
    found = hotelling_observer(noisy(signal), noisy(0.0), channels)
    assert found.d_prime.value == pytest.approx(expected, rel=0.15)
    assert expected > 2 * np.linalg.norm(apart)


def test_pairs_of_one_place_and_their_gain() -> None:
    channels = laguerre_gauss((SIDE, SIDE), width=8)
    signal = 1.5 * channels[0]
    noise = patches(60, 5)
    before = hotelling_observer(noise + signal, noise, channels, paired=True)
    assert before.d_prime.value == pytest.approx(1.5, rel=0.25)
    assert np.isnan(np.diag(before.differences)).all()
    after = hotelling_observer(noise / 2 + signal, noise / 2, channels, paired=True)
    gain = detectability_gain(after, before)
    assert gain.value == pytest.approx(after.d_prime.value - before.d_prime.value)
    assert 0 < gain.low < gain.value < gain.high
    same = detectability_gain(before, before)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    gone = hotelling_observer(noise, noise, channels, paired=True)
    assert (gone.d_prime.value, gone.auc.value) == (0, 0.5)  # nothing is left to learn
    with pytest.raises(ParameterError, match="same patches"):
        detectability_gain(before, hotelling_observer(noise[:50], noise[:50] + signal, channels))


def test_what_cannot_be_judged() -> None:
    channels = laguerre_gauss((SIDE, SIDE), width=8)
    noise = patches(20, 0)
    with pytest.raises(ParameterError, match="at least 12 patches"):
        hotelling_observer(noise[:11], noise, channels)
    with pytest.raises(ParameterError, match="as many with as without"):
        hotelling_observer(noise[:15], noise, channels, paired=True)
    with pytest.raises(ParameterError, match="all alike"):
        hotelling_observer(np.ones_like(noise), np.ones_like(noise), channels)
    with pytest.raises(ParameterError, match="the channels"):
        hotelling_observer(noise[:, 1:], noise, channels)
    noise[3, 3, 3] = np.nan
    with pytest.raises(ParameterError, match="not finite"):
        hotelling_observer(noise, noise, channels)


def test_a_ct_phantom_is_seen_better_at_a_higher_dose(shared_data: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    place = shared_data / "pairs/lcd_ct/fbp"
    if not place.is_dir():
        pytest.skip(f"no {place}")

    def images(dose: str, kind: str) -> np.ndarray:
        file = place / f"dose_{dose}/signal_{kind}/signal_{kind}.mhd"
        return sitk.GetArrayFromImage(sitk.ReadImage(str(file))).astype(np.float64)

    def cut(stack: np.ndarray, y: float, x: float) -> np.ndarray:
        y, x = round(y), round(x)
        return stack[:, y - 10 : y + 11, x - 10 : x + 11]

    # Lesions of 3 to 10 mm, 14 to 3 HU; the same radius at other angles holds none.
    centres = {(94.6, 94.6): 8.3, (94.7, 160.3): 5.8, (160.5, 160.5): 16.3, (160.4, 94.6): 11.8}
    mean = {}
    for dose in ("010", "055", "100"):
        present, absent = images(dose, "present"), images(dose, "absent")
        found = []
        for (y, x), diameter in centres.items():
            radius = np.hypot(y - 127.5, x - 127.5)
            angles = np.arange(12) * 2 * np.pi / 12
            around = [
                cut(absent, 127.5 + radius * np.sin(t), 127.5 + radius * np.cos(t)) for t in angles
            ]
            channels = laguerre_gauss((SIDE, SIDE), width=diameter, count=3)
            seen = hotelling_observer(cut(present, y, x), np.concatenate(around), channels)
            found.append(seen.d_prime.value)
        mean[dose] = float(np.mean(found))
    assert mean["010"] < mean["055"] < mean["100"]
    assert mean["100"] > 1.3
    assert mean["010"] < 1
