from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import anisotropic_diffusion


def test_a_ramp_has_no_curvature() -> None:
    ramp = (3.0 * np.indices((16, 16, 16))[1]).astype(np.float32)
    filtered = anisotropic_diffusion(ramp, spacing=(1, 1, 1), iterations=5, conductance=2.0)
    # At the border the image goes on flat.
    np.testing.assert_allclose(filtered[:, 6:-6], ramp[:, 6:-6], atol=1e-3)


def test_an_edge_stays_and_noise_goes() -> None:
    step = np.zeros((32, 32, 32), np.float32)
    step[16:] = 50
    noisy = step + np.random.default_rng(0).standard_normal(step.shape).astype(np.float32)
    filtered = anisotropic_diffusion(noisy, spacing=(1, 1, 1), iterations=5, conductance=1.0)
    assert filtered[16].mean() - filtered[15].mean() == pytest.approx(50, abs=2.5)
    assert (filtered - step)[:, 8:-8, 8:-8].std() < 0.5


def test_it_is_as_strong_as_the_noise_asks_for() -> None:
    clean = (40 * np.sin(np.indices((32, 32, 24)).sum(axis=0) / 5)).astype(np.float32)
    draws = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    for sigma in (2, 20):
        noisy = clean + sigma * draws
        errors = [
            float(np.mean((anisotropic_diffusion(noisy, spacing=(1, 1, 1), **how) - clean) ** 2))
            for how in (
                {"sigma_noise": sigma},
                {"iterations": 1, "conductance": 1.0},
                {"iterations": 10, "conductance": 3.0},
            )
        ]
        assert errors[0] < 1.02 * min(errors)
        assert errors[0] < sigma**2


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e12])
def test_the_unit_of_intensities_does_not_matter(scale: float) -> None:
    # 1e-6: a diffusion coefficient in mm^2/s.
    image = np.random.default_rng(1).normal(700, 60, (16, 16, 12)).astype(np.float32)
    how = {"iterations": 5, "conductance": 2.0}
    expected = anisotropic_diffusion(image, spacing=(1, 1, 1), **how)
    found = anisotropic_diffusion(image * np.float32(scale), spacing=(1, 1, 1), **how)
    np.testing.assert_allclose(found / scale, expected, rtol=1e-4)
    assert np.abs(expected - image).max() > 30


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 1.7), (0.5, 0.5, 2.0)])
def test_it_is_slower_across_long_voxels(spacing: tuple[float, float, float]) -> None:
    # On a steep ramp, faint waves across it diffuse freely: exp(-k^2 t), k^2 in finest voxels.
    x, _, z = np.indices((24, 12, 32))
    ramp, wave = 20.0 * x, np.cos(2 * np.pi * (z + 0.5) / 8)
    filtered = anisotropic_diffusion(ramp + wave, spacing=spacing, iterations=30, conductance=50.0)
    left = ((filtered - ramp) * wave)[12, 6].mean() / (wave**2)[12, 6].mean()
    long = spacing[2] / spacing[0]
    expected = np.exp(-(2 - 2 * np.cos(2 * np.pi / 8)) / long**2 * 30 * 0.0625)
    assert left == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"iterations": 0, "conductance": 1.0}, "iterations is 0"),
        ({"iterations": 3, "conductance": 0.0}, "conductance is 0"),
        ({"iterations": 3}, "belong together"),
    ],
)
def test_impossible_options(options: dict[str, float], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        anisotropic_diffusion(np.zeros((4, 4), np.float32), spacing=(1, 1), **options)
