from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from meddenoise.noise.ct.geometry import geometry_for
from meddenoise.noise.ct.kernels import named_kernel, ramp_power
from meddenoise.noise.ct.projector import back_project, project, reconstruct

MU = 0.0192
SIZE, PIXEL = 128, 2.0
BEAMS = pytest.mark.parametrize("beam", ["parallel", "fan"])


@BEAMS
def test_line_integrals_of_a_disc_off_the_axis(beam: str, disc: Callable[..., Tensor]) -> None:
    radius, x, y = 50.0, 25.0, -40.0
    mu = MU * (1 + disc(SIZE, PIXEL, radius, 0.0, x, y) / 1000)
    geometry = geometry_for(SIZE, PIXEL, beam=beam, views=16)
    lines = project(mu[None], geometry, PIXEL)[0]
    for view in range(16):
        angle = geometry.angle(view)
        s = x * math.cos(angle) + y * math.sin(angle)
        t = -x * math.sin(angle) + y * math.cos(angle)
        place = geometry.distances()
        if beam == "parallel":
            away = place - s
        else:
            tilt = geometry.offsets() / geometry.source_mm
            away = place - (s * tilt.cos() - t * tilt.sin())
        exact = 2 * MU * (radius**2 - away**2).clamp(min=0).sqrt()
        assert (lines[view] - exact).abs().mean() < 0.004
        # Bilinear samples blur the rim, where the chord is steep.
        inside = away.abs() < radius - 6
        assert (lines[view] - exact)[inside].abs().max() < 0.03


@BEAMS
@pytest.mark.parametrize("kernel", ["ramp", "shepp-logan", "hann"])
def test_a_loop_without_noise_keeps_hu(
    beam: str, kernel: str, disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    mu = MU * (1 + disc(SIZE, PIXEL, 100.0) / 1000)
    mu += MU * 0.05 * (1 + disc(SIZE, PIXEL, 20.0, 0.0, 50.0, 30.0) / 1000)
    geometry = geometry_for(SIZE, PIXEL, beam=beam, views=240)
    lines = project(mu[None], geometry, PIXEL)
    again = reconstruct(lines, geometry, named_kernel(kernel, 0.5 / PIXEL), SIZE, PIXEL)[0]
    hu = 1000 * (again / MU - 1)
    away, insert = distance(SIZE, PIXEL), distance(SIZE, PIXEL, 50.0, 30.0)
    water = insert > 28
    assert abs(float(hu[water & (away < 90)].mean())) < 0.5
    assert abs(float(hu[water & (away < 20)].mean())) < 0.5
    assert abs(float(hu[water & (away > 70) & (away < 90)].mean())) < 0.5
    assert float(hu[insert < 12].mean()) == pytest.approx(50, abs=0.5)


@BEAMS
@pytest.mark.parametrize("kernel", ["ramp", "shepp-logan", "hann"])
def test_the_variance_of_white_noise_is_the_textbook_s(
    beam: str, kernel: str, distance: Callable[..., Tensor]
) -> None:
    geometry = geometry_for(SIZE, PIXEL, beam=beam, views=240)
    window = named_kernel(kernel, 0.5 / PIXEL)
    generator = torch.Generator().manual_seed(0)
    lines = torch.randn(24, geometry.views, geometry.channels, generator=generator)
    image = reconstruct(lines, geometry, window, SIZE, PIXEL)
    expected = math.pi**2 / geometry.views * geometry.pitch_mm * ramp_power(window)
    centre = distance(SIZE, PIXEL) < 30
    assert float(image[:, centre].var()) == pytest.approx(expected, rel=0.04)
    if kernel == "ramp":
        # pi^2 var(p) / (12 V tau^2) for rays tau apart, filtered up to their Nyquist frequency; a
        # ray here is sqrt(2) times as narrow.
        textbook = math.pi**2 / (12 * geometry.views * PIXEL**2)
        assert expected == pytest.approx(textbook / math.sqrt(2), rel=1e-3)


def test_back_projection_carries_variances(distance: Callable[..., Tensor]) -> None:
    geometry = geometry_for(64, 4.0, beam="fan", views=120)
    window = named_kernel("hann", 0.125)
    generator = torch.Generator().manual_seed(0)
    lines = torch.randn(64, geometry.views, geometry.channels, generator=generator)
    image = reconstruct(lines, geometry, window, 64, 4.0)
    ones = torch.ones(1, geometry.views, geometry.channels)
    ones *= (geometry.offsets() / geometry.source_mm).cos() ** 2
    predicted = back_project(ones, geometry, 64, 4.0, finer=1, power=2)[0]
    predicted *= geometry.pitch_mm * ramp_power(window)
    away = distance(64, 4.0)
    for near, far in ((0, 40), (90, 120)):
        ring = (away >= near) & (away < far)
        ratio = image[:, ring].var() / predicted[ring].mean()
        assert float(ratio) == pytest.approx(1, abs=0.06)


@BEAMS
def test_slices_do_not_touch_each_other(beam: str, disc: Callable[..., Tensor]) -> None:
    geometry = geometry_for(32, 8.0, beam=beam, views=16)
    mu = torch.stack([disc(32, 8.0, 90.0, hu, 10.0) + 1000 for hu in (0.0, 500.0, -300.0)]) * 1e-5
    together = project(mu, geometry, 8.0)
    window = named_kernel("hann", 1 / 16)
    again = reconstruct(together, geometry, window, 32, 8.0)
    for one, line, picture in zip(mu, together, again, strict=True):
        alone = project(one[None], geometry, 8.0)
        assert torch.allclose(alone[0], line, atol=1e-5)
        assert torch.allclose(reconstruct(alone, geometry, window, 32, 8.0)[0], picture, atol=1e-6)
