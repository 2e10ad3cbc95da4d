from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.noise.ct import ScanNoise, measure_noise
from meddenoise.noise.ct.kernels import Kernel, named_kernel
from meddenoise.noise.ct.nps import shaped


def noise(shape: tuple[int, int, int], kernel: Kernel, pixel_mm: float) -> np.ndarray:
    white = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return shaped(white, kernel, pixel_mm).numpy()


@pytest.mark.parametrize(
    ("name", "cutoff", "within"),
    [("ramp", 1.4, 0.02), ("shepp-logan", 1.0, 0.02), ("hann", 1.0, 0.02), ("hann", 0.8, 0.02)],
)
def test_strength_and_kernel_of_known_noise(name: str, cutoff: float, within: float) -> None:
    pixel = 0.8
    kernel = named_kernel(name, 0.5 / pixel, cutoff)
    found = measure_noise(15 * noise((6, 200, 200), kernel, pixel), pixel)
    assert found.sigma == pytest.approx(15, rel=within)
    f = torch.linspace(0.0, 0.5, 11)
    torch.testing.assert_close(found.kernel(f), kernel(f), atol=0.07, rtol=0)


def anatomy(shape: tuple[int, int, int]) -> np.ndarray:
    """Tissue whose power falls with the fourth power of frequency, and its sharp edges."""
    draws = np.random.default_rng(0)
    f = [np.fft.fftfreq(n) for n in shape[1:]]
    falling = 1 / (0.01**2 + f[0][:, None] ** 2 + f[1] ** 2)
    smooth = np.fft.ifft2(np.fft.fft2(draws.standard_normal(shape)) * falling).real
    smooth *= 25 / smooth.std()
    organs = draws.uniform(-90, 90, (shape[0], 2, 2)).repeat(100, 1).repeat(100, 2)
    return smooth + organs


def test_anatomy_is_not_taken_for_noise() -> None:
    kernel = named_kernel("hann", 0.5 / 0.8)
    scan = anatomy((6, 200, 200)) + 12 * noise((6, 200, 200), kernel, 0.8)
    found = measure_noise(scan, 0.8)
    assert found.sigma == pytest.approx(12, rel=0.15)
    middle = torch.tensor(0.4)
    assert float(found.kernel(middle)) == pytest.approx(float(kernel(middle)), abs=0.08)


def test_which_patches_speak_for_a_slice() -> None:
    where = np.array([[1, 0, 0], *[[4, 0, 0]] * 3, *[[5, 0, 0]] * 2, *[[9, 0, 0]] * 4])
    noise = ScanNoise(named_kernel("hann", 0.5), where, np.ones(10))
    few = [set(those) for those in noise.patches_of(12, 4.0)]
    assert few[0] == few[1] == few[2] == {0, 1, 2, 3}
    assert few[3] == {0, 1, 2, 3, 4, 5}
    assert few[4] == few[5] == few[6] == {1, 2, 3, 4, 5}
    assert few[8] == few[11] == {6, 7, 8, 9}
    apart = [set(those) for those in noise.patches_of(12, 40.0)]
    assert apart == [{6, 7, 8, 9}] * 12
    alone = ScanNoise(named_kernel("hann", 0.5), where[:1], np.ones(1))
    assert [set(those) for those in alone.patches_of(7, 4.0)] == [{0}] * 7


def test_the_map_follows_the_noise_and_covers_all_slices() -> None:
    where = np.array([*[[1, 10, 10]] * 4, *[[1, 90, 10]] * 4, *[[6, 50, 50]] * 4])
    variance = np.repeat([100.0, 400.0, 900.0], 4)
    sigma = ScanNoise(named_kernel("hann", 0.5), where, variance).sigma_map((8, 100, 60), 4.0, 4.0)
    assert sigma.shape == (8, 100, 60)
    np.testing.assert_allclose(sigma[:, 10, 10], [10] * 4 + [30] * 4, rtol=0.02)
    assert sigma[0, 90, 10] == pytest.approx(20, rel=0.01)
    assert sigma[0, 50, 10] == pytest.approx(np.sqrt(250), rel=0.01)
    np.testing.assert_allclose(sigma[4:], 30, rtol=1e-5)


def test_nothing_to_measure() -> None:
    air = np.full((2, 100, 100), -1000.0)
    with pytest.raises(ParameterError, match="there are 0 patches"):
        measure_noise(air, 1.0)
    with pytest.raises(ParameterError, match=r"flat soft tissue .* with noise there are 0"):
        measure_noise(air + 1000, 1.0)
    with pytest.raises(ParameterError, match=r"Pixels of 3 mm are too large.*at most 1\.1 mm"):
        measure_noise(air + 1000, 3.0)


def test_real_doses_of_a_phantom(shared_data: Path) -> None:
    place = shared_data / "pairs" / "lcd_ct" / "fbp"
    if not place.is_dir():
        pytest.skip("the phantom's doses are not at hand")
    for dose in ("010", "100"):
        volume = md.read(place / f"dose_{dose}" / "signal_absent" / "signal_absent.mhd")
        slices = volume.array[0].transpose(2, 0, 1) - 1000
        true = (slices - slices.mean(axis=0)).std(axis=0, ddof=1)[64:192, 64:192].mean()
        assert measure_noise(slices, 0.8).sigma == pytest.approx(true, rel=0.08)
