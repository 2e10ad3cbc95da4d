from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise
from meddenoise.noise.ct import ct_nps, ct_projection
from meddenoise.noise.ct.kernels import named_kernel
from meddenoise.noise.ct.measure import radial_bins
from meddenoise.noise.ct.nps import shaped
from meddenoise.training import SupervisedTrainer


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectrum(noise: Tensor, pixel_mm: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Frequencies, radial noise power spectrum in HU^2 mm^2, and its integral over the plane."""
    size = noise.shape[-1]
    power = np.abs(np.fft.fft2(noise.double().numpy())) ** 2 * (pixel_mm / size) ** 2
    power = power.mean(axis=0)
    index, frequency = radial_bins(size, pixel_mm)
    rings = np.bincount(index.ravel(), power.ravel()) / np.bincount(index.ravel())
    return frequency, rings, float(power.sum() / (size * pixel_mm) ** 2)


def formula(name: str, frequency: np.ndarray, pixel_mm: float) -> np.ndarray:
    """``f K(f)^2``, scaled to a maximum of 1."""
    k = named_kernel(name, 0.5 / pixel_mm)(torch.from_numpy(frequency)).numpy()
    return frequency * k**2 / (frequency * k**2).max()


@pytest.mark.parametrize("kernel", ["ramp", "shepp-logan", "hann"])
def test_the_spectrum_is_ramp_times_kernel_and_integrates_to_the_variance(kernel: str) -> None:
    pixel, sigma = 0.7, 20.0
    added = ct_nps(
        torch.zeros(64, 64, 64), 0.2, spacing=(pixel, pixel, 3.0), sigma=sigma, kernel=kernel,
        generator=seeded(),
    ).movedim(-1, 0)  # fmt: skip
    frequency, found, integral = spectrum(added, pixel)
    # sqrt(1 / 0.2 - 1) = 2.
    assert float(added.std()) == pytest.approx(40, rel=0.02)
    assert integral == pytest.approx(float(added.double().square().mean()), rel=1e-6)
    told = formula(kernel, frequency, pixel)
    inside = (frequency > 0.1) & (frequency < 0.65)
    np.testing.assert_allclose(
        found[inside] / found[inside].sum(), told[inside] / told[inside].sum(), atol=0.004
    )
    assert frequency[found.argmax()] == pytest.approx(frequency[told.argmax()], rel=0.15)


@pytest.mark.parametrize("kernel", ["ramp", "shepp-logan", "hann"])
def test_the_spectrum_is_that_of_noise_on_the_rays(
    kernel: str, disc: Callable[..., Tensor]
) -> None:
    size, pixel = 96, 2.5
    hu = disc(size, pixel, 100.0)[..., None].expand(-1, -1, 48)
    how = {"photons": 1e6, "electronic": 0.0, "views": 180, "kernel": kernel}
    noise = ct_projection(hu, 1.0, spacing=(pixel, pixel, 5.0), generator=seeded(), **how) - hu
    patch = noise.movedim(-1, 0)[:, 32:64, 32:64]
    frequency, found, integral = spectrum(patch, pixel)
    told = formula(kernel, frequency, pixel)
    inside = (frequency > 0.03) & (frequency < 0.18)
    np.testing.assert_allclose(
        found[inside] / found[inside].sum(),
        told[inside] / told[inside].sum(),
        rtol=0.12,
        atol=0.005,
    )
    assert integral == pytest.approx(float(patch.double().square().mean()), rel=1e-6)


def test_shaped_noise_has_variance_one() -> None:
    white = torch.randn(50, 40, 72, generator=seeded())
    made = shaped(white, named_kernel("hann", 0.5), 1.0)
    assert float(made.var()) == pytest.approx(1, rel=0.02)
    assert made.mean(dim=(1, 2)).abs().max() < 1e-5


@pytest.mark.parametrize("dose", [0.5, 0.1])
def test_sigma_is_measured_from_place_to_place(
    dose: float, disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    size, pixel = 176, 1.0
    clean = disc(size, pixel, 75.0)[..., None].expand(-1, -1, 8)
    how = {"spacing": (pixel, pixel, 3.0), "generator": seeded()}
    scan = ct_projection(clean, 1.0, photons=2e5, views=180, **how)
    low = ct_nps(scan, dose, **how)
    inside = distance(size, pixel) < 55
    own, added = ((a - b)[inside].std() for a, b in ((scan, clean), (low, scan)))
    assert float(added / own) == pytest.approx(math.sqrt(1 / dose - 1), rel=0.07)
    assert abs(float((low - scan)[inside].mean())) < 0.5


def test_twice_the_noise_at_one_end_gives_twice_as_much_there() -> None:
    sigma = torch.where(torch.arange(240) < 120, 20.0, 10.0)[:, None, None]
    noise = shaped(torch.randn(6, 240, 120, generator=seeded()), named_kernel("hann", 0.5), 1.0)
    scan = noise.movedim(0, -1) * sigma
    added = ct_nps(scan, 0.5, spacing=(1, 1, 3), generator=seeded(1)) - scan
    ratio = added[:50].std() / added[190:].std()
    assert 1.5 < float(ratio) < 2.1


def test_patches_in_training() -> None:
    target = torch.zeros(4, 1, 32, 32, 16)
    one = torch.ones(4, 1, 1, 1, 1)
    spacing = torch.tensor([[0.8, 0.8, 3.0]] * 4)
    given = Batch(target, target, None, 0 * one, 100 * one, torch.ones(4), spacing)
    noise = build_noise("ct_nps", dose=[0.1, 0.5], sigma=10.0, kernel="hann")
    made = SupervisedTrainer(noise=noise).inject(given, Draws(0, 0, 4, 0, 1)).image * 100
    spread = made.std(dim=(1, 2, 3, 4))
    assert (spread > 9).all()
    assert (spread < 31).all()
    assert len(spread.unique()) == 4
    # Correlated within a slice, not between slices.
    assert float((made[..., 1:, :, :] * made[..., :-1, :, :]).mean() / made.var()) > 0.2
    assert abs(float((made[..., 1:] * made[..., :-1]).mean() / made.var())) < 0.05


def test_full_dose_adds_nothing_and_seeds_repeat() -> None:
    x = torch.full((40, 40), 30.0)
    how = {"spacing": (1.0, 1.0), "sigma": 12.0, "kernel": "hann"}
    assert torch.equal(ct_nps(x, 1.0, **how), x)
    once, again = (ct_nps(x, 0.5, generator=seeded(3), **how) for _ in range(2))
    assert torch.equal(once, again)
    x[0, 0] = float("nan")
    assert ct_nps(x, 0.5, **how).isfinite().sum() == 1599


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dose": 0.0}, "dose is 0.*above 0 and at most 1"),
        ({"sigma": -1.0}, r"sigma is -1.*at least 0.*\(HU\)"),
        ({"kernel": "soft"}, "kernel is 'soft'.*'measured'"),
        ({"cutoff": 3.0}, "cutoff is 3.*at most 1.4"),
        ({"sigma": None}, "own noise cannot be measured.*0 patches"),
        ({"spacing": (1.0, 2.0)}, "square pixels"),
    ],
)
def test_impossible_parameters(arguments: dict, message: str) -> None:
    given = {"dose": 0.5, "spacing": (1.0, 1.0), "sigma": 10.0, "kernel": "hann", **arguments}
    with pytest.raises(ParameterError, match=message):
        ct_nps(torch.zeros(32, 32), **given)
    with pytest.raises(ParameterError, match=r"at least 16 x 16 pixels.*8 x 32"):
        ct_nps(torch.zeros(8, 32), 0.5, spacing=(1.0, 1.0), sigma=1.0, kernel="hann")
