from __future__ import annotations

import math

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, kspace
from meddenoise.noise.mri import kspace_filter

FILTERS = [
    {"zero_filling": 2.0},
    {"zero_filling": 1.0, "partial_fourier": 0.75, "phase_axis": 0},
    {"zero_filling": 1.0, "apodisation": 1.0},
    {"zero_filling": 1.5, "partial_fourier": 0.625, "apodisation": 0.4},
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def real_noise(shape: tuple[int, ...], sigma: float = 2.0, **filters: object) -> torch.Tensor:
    """What is added to the real channel: the signal is so strong that the rest does not matter."""
    x = torch.full(shape, 1e6, dtype=torch.float64)
    return kspace(x, sigma, generator=seeded(), **filters) - 1e6


@pytest.mark.parametrize("filters", FILTERS)
def test_the_autocorrelation_is_the_inverse_transform_of_the_filter_squared(filters: dict) -> None:
    noise = real_noise((300, 1, 32, 24), **filters)
    assert noise.std() == pytest.approx(2.0, rel=0.02)
    measured = torch.fft.ifft2(torch.fft.fft2(noise).abs().square().mean(dim=(0, 1))).real
    h = kspace_filter((32, 24), **filters).double()
    power = h.square()
    # The real channel of complex noise has half of the power at f and half of that at -f.
    expected = torch.fft.ifft2(power).real / power.mean()
    got = measured / (32 * 24) / 4.0
    torch.testing.assert_close(got, expected, rtol=0, atol=0.02)
    assert float(expected.flatten()[1:].abs().max()) > 0.2  # or it would prove nothing


def test_without_a_filter_the_noise_is_white() -> None:
    noise = real_noise((100, 1, 32, 24), zero_filling=1.0)
    for axis in (2, 3):
        assert abs(float((noise * noise.roll(1, axis)).mean() / noise.var())) < 0.01


def test_the_background_has_the_rayleigh_mean_of_sigma_whatever_the_filter() -> None:
    for filters in FILTERS:
        m = kspace(torch.zeros(60, 1, 64, 64), 3.0, generator=seeded(), **filters)
        assert m.mean() == pytest.approx(3 * math.sqrt(math.pi / 2), rel=0.02)
        assert m.square().mean() == pytest.approx(2 * 9, rel=0.03)


def test_slices_are_independent_in_2d_and_not_in_3d() -> None:
    for acquisition, alike in (("2d", 0.0), ("3d", 2 / math.pi)):
        noise = real_noise((64, 64, 64), acquisition=acquisition)
        along = (noise * noise.roll(1, 2)).mean() / noise.var()
        across = (noise * noise.roll(1, 0)).mean() / noise.var()
        assert float(along) == pytest.approx(alike, abs=0.03)
        assert float(across) == pytest.approx(2 / math.pi, abs=0.03)


def test_the_filter() -> None:
    h = kspace_filter((16, 12), zero_filling=2.0)
    kept = torch.fft.fftfreq(16).abs() <= 0.25
    assert torch.equal(h.amax(1) > 0, kept)
    assert torch.equal(kspace_filter((9, 8)), torch.ones(9, 8))
    # 6/8: a quarter of the lines are zero, all on one side.
    line = kspace_filter((8, 256), partial_fourier=0.75)[0]
    assert int((line == 0).sum()) == 64
    assert not line[torch.fft.fftfreq(256) < -0.25].any()
    hann = kspace_filter((2, 64), apodisation=1.0)[0]
    torch.testing.assert_close(hann, (0.5 + 0.5 * torch.cos(2 * math.pi * torch.fft.fftfreq(64))))
    tukey = kspace_filter((2, 64), apodisation=0.5)[0]
    assert torch.equal(tukey[torch.fft.fftfreq(64).abs() <= 0.25], torch.ones(33))
    assert tukey.min() == 0


def test_seeded_untouched_in_its_type_and_by_name() -> None:
    x = torch.rand(1, 1, 10, 12, 6)
    once, again = (kspace(x, 1.0, generator=seeded(9)) for _ in range(2))
    assert torch.equal(once, again)
    assert once.dtype == torch.float32
    assert torch.equal(kspace(-x, 0.0), x)
    model = build_noise("kspace", sigma="10%", acquisition="3d")
    assert torch.equal(model.apply(x, reference=10.0, generator=seeded(9)), once)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"zero_filling": 0.5}, r"zero_filling is 0\.5.*at least 1 \(times the matrix\)"),
        ({"partial_fourier": 0.5}, r"partial_fourier is 0\.5.*above 0\.5 and at most 1 \(fraction"),
        ({"partial_fourier": 1.1}, r"partial_fourier is 1\.1.*at most 1"),
        ({"apodisation": 2.0}, r"apodisation is 2.*at most 1 \(tapered fraction\)"),
        ({"phase_axis": 2}, r"phase_axis is 2.*0 to 1"),
        ({"acquisition": "4d"}, r"acquisition is '4d'"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        kspace(torch.ones(4, 5), **{"sigma": 1.0, **arguments})


def test_an_image_of_one_axis() -> None:
    with pytest.raises(ParameterError, match=r"not of shape \(5,\)"):
        kspace(torch.ones(5), 1.0)
