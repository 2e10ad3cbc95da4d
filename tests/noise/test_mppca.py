from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from meddenoise.errors import ParameterError
from meddenoise.noise.mppca import marchenko_pastur_sigma, mppca_sigma


def series(volumes: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Three smooth pictures, mixed differently in each volume: a clean scan of rank 3."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    pictures = np.array([300 + 200 * np.cos(4 * x), 400 * y, 250 + 150 * np.sin(5 * z) * x])
    return np.tensordot(rng.uniform(0.5, 1.5, (volumes, 3)), pictures, axes=1)


@pytest.mark.parametrize(("rows", "columns"), [(20, 125), (125, 20), (60, 125), (40, 40)])
def test_pure_noise_follows_the_marchenko_pastur_law(rows: int, columns: int) -> None:
    rng = np.random.default_rng(1)
    found = [marchenko_pastur_sigma(5 * rng.standard_normal((rows, columns))) for _ in range(60)]
    assert np.mean(found) == pytest.approx(5, rel=0.015)


@pytest.mark.parametrize("rank", [1, 4, 8])
def test_signals_are_told_from_noise(rank: int) -> None:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(40):
        signals = rng.standard_normal((30, rank)) @ rng.standard_normal((rank, 125))
        found.append(marchenko_pastur_sigma(20 * signals + rng.standard_normal((30, 125))))
    assert np.mean(found) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("sigma", [2.0, 40.0])
@pytest.mark.parametrize("volumes", [6, 30])
def test_the_noise_of_a_4d_scan(volumes: int, sigma: float) -> None:
    clean = series(volumes, (30, 30, 20))
    noisy = clean + sigma * np.random.default_rng(3).standard_normal(clean.shape)
    assert mppca_sigma(noisy.astype(np.float32)) == pytest.approx(sigma, rel=0.04)


def test_a_weak_magnitude_is_corrected() -> None:
    rng = np.random.default_rng(4)
    clean = np.broadcast_to(np.float64(90), (20, 30, 30, 20))  # an SNR of 1.5
    noisy = np.hypot(
        clean + 60 * rng.standard_normal(clean.shape), 60 * rng.standard_normal(clean.shape)
    )
    assert mppca_sigma(noisy) == pytest.approx(60 * stats.rice.std(1.5), rel=0.02)
    assert mppca_sigma(noisy, magnitude=True) == pytest.approx(60, rel=0.03)


def test_only_the_mask_and_what_is_finite_count() -> None:
    noisy = np.random.default_rng(5).standard_normal((10, 40, 25, 25))
    noisy[:, 20:] *= 9
    noisy[3, :20:6] = np.nan
    mask = np.zeros(noisy.shape[1:], dtype=bool)
    mask[20:] = True
    assert mppca_sigma(noisy, mask=mask) == pytest.approx(9, rel=0.03)
    with pytest.raises(ParameterError, match="too little image"):
        mppca_sigma(noisy, mask=~mask)


def test_rows_without_noise_of_their_own_do_not_count() -> None:
    rng = np.random.default_rng(6)
    found: dict[str, list[float]] = {"blank": [], "copied": [], "without their mean": []}
    for _ in range(40):
        signals = 20 * rng.standard_normal((22, 2)) @ rng.standard_normal((2, 125))
        rows = signals + rng.standard_normal((22, 125))
        less = rows - rows.mean(axis=0)
        found["without their mean"].append(marchenko_pastur_sigma(less))
        rows[7] = rows[6]
        found["copied"].append(marchenko_pastur_sigma(rows))
        rows[[6, 7]] = 0
        found["blank"].append(marchenko_pastur_sigma(rows))
    assert {name: np.mean(each) for name, each in found.items()} == pytest.approx(
        dict.fromkeys(found, 1), rel=0.04
    )


def test_no_noise_is_none() -> None:
    rng = np.random.default_rng(7)
    clean = rng.standard_normal((22, 3)) @ rng.standard_normal((3, 125))
    assert marchenko_pastur_sigma(clean) == 0
    assert marchenko_pastur_sigma(np.zeros((22, 125))) == 0


def test_volumes_that_are_blank_in_places_or_copied() -> None:
    clean = series(12, (30, 30, 20))
    noisy = clean + 20 * np.random.default_rng(8).standard_normal(clean.shape)
    noisy[5, :, :, :12] = 0
    noisy[6, :, 10:] = 7
    noisy[8:10] = noisy[3]
    assert mppca_sigma(noisy) == pytest.approx(20, rel=0.04)
    with pytest.raises(ParameterError, match="6 volumes that differ"):
        mppca_sigma(noisy[[0, 1, 2, 3, 4, 8, 9]])


def test_what_cannot_be_compared() -> None:
    for shape in ((5, 20, 20, 20), (20, 20, 20)):
        with pytest.raises(ParameterError, match="at least 6 volumes"):
            mppca_sigma(np.zeros(shape))
