from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.evaluation.nps import noise_power_spectrum


def coloured(shape: tuple[int, ...], centre: float, spacing: float) -> np.ndarray:
    """Noise of sigma 10 whose power is a ring about ``centre`` cycles per mm."""
    white = np.random.default_rng(0).standard_normal(shape)
    f = [np.fft.fftfreq(n, spacing) for n in shape[:2]]
    radius = np.hypot(f[0][:, None], f[1][None])[..., None]
    gain = np.exp(-(((radius - centre) / 0.06) ** 2) / 2)
    noise = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) * gain, axes=(0, 1)).real
    return 10 * noise / noise.std()


@pytest.mark.parametrize(("dims", "spacing"), [(2, (0.5, 0.5, 3.0)), (3, (0.5, 0.5, 1.0))])
def test_white_noise_is_flat_and_its_integral_the_variance(
    dims: int, spacing: tuple[float, ...]
) -> None:
    noise = np.random.default_rng(1).normal(0, 5, (64, 64, 32))
    found = noise_power_spectrum(noise, spacing=spacing, side=16, dims=dims)
    # Variance times the size of a pixel (voxel); the parabola takes a little of the lowest rings.
    level = 25 * np.prod(spacing[:dims])
    assert np.array(found.power[3:]) == pytest.approx(level, rel=0.08)
    assert found.variance == pytest.approx(25, rel=0.05)
    assert (found.dims, found.side) == (dims, 16)
    assert found.frequencies[-1] == pytest.approx(1, rel=0.05)


def test_a_ring_of_power_is_found_where_it_is() -> None:
    found = noise_power_spectrum(coloured((128, 128, 4), 0.4, 0.7), spacing=(0.7, 0.7, 3))
    assert found.peak == pytest.approx(0.4, abs=0.05)
    assert found.mean == pytest.approx(0.4, abs=0.05)
    assert found.variance == pytest.approx(100, rel=0.1)
    told = found.as_dict()
    assert max(told["power"]) == told["power"][told["frequencies_per_mm"].index(found.peak)]


def test_slow_trends_are_no_noise_and_a_mask_keeps_anatomy_out() -> None:
    noise = np.random.default_rng(2).normal(0, 5, (96, 96))
    x = np.linspace(-1, 1, 96)
    trend = 300 * x[:, None] + 200 * x[None] ** 2
    found = noise_power_spectrum(noise + trend)
    assert found.variance == pytest.approx(noise_power_spectrum(noise).variance, rel=1e-6)
    edge = noise.copy()
    edge[:10] += 1000
    inside = np.zeros(edge.shape, dtype=bool)
    inside[12:] = True
    assert noise_power_spectrum(edge, mask=inside).variance == pytest.approx(25, rel=0.1)
    assert noise_power_spectrum(edge).variance > 1000


def test_without_noise_or_room() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (40, 40))
    with pytest.raises(ParameterError, match="no noise within the mask"):
        noise_power_spectrum(np.zeros((40, 40)))
    thin = np.zeros(noise.shape, dtype=bool)
    thin[:7] = True
    with pytest.raises(ParameterError, match="no region of 32 voxels"):
        noise_power_spectrum(noise, mask=thin)
    with pytest.raises(ParameterError, match="3-D cannot be had"):
        noise_power_spectrum(noise, dims=3)
