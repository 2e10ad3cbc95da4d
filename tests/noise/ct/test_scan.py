from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from meddenoise.noise.ct.kernels import named_kernel
from meddenoise.noise.ct.scan import COARSE, Scanner, scanner_for

MU = 0.0192


def scanner(shape: tuple[int, int], pixel_mm: float, **how: object) -> Scanner:
    given = {"beam": "parallel", "views": 120, "source_mm": 595.0, "bowtie_mm": 0.0, **how}
    return scanner_for(shape, pixel_mm, named_kernel("hann", 0.5 / pixel_mm), mu_water=MU, **given)


def test_the_bowtie_filter_makes_up_for_a_cylinder() -> None:
    made = scanner((64, 64), 4.0, bowtie_mm=100.0)
    passed = made.transmission(made.geometry, torch.zeros(1))
    distance = made.geometry.distances()
    chord = 2 * (2500 - distance**2).clamp(min=0).sqrt()
    # Filter and cylinder together weaken every ray alike.
    assert torch.allclose(
        passed * (-MU * chord).exp(), torch.tensor(math.exp(-100 * MU)), rtol=1e-4
    )
    assert float(passed.max()) == pytest.approx(1, abs=0.01)
    plain = scanner((64, 64), 4.0)
    assert (plain.transmission(plain.geometry, torch.zeros(1)) == 1).all()


@pytest.mark.parametrize("shape", [(96, 96), (63, 90), (90, 61)])
def test_lines_and_noise_of_a_slice_that_is_not_square(shape: tuple[int, int]) -> None:
    made = scanner(shape, 2.5)
    lines = made.lines(torch.zeros(2, *shape))
    longest = math.hypot(*shape) * 2.5 * MU
    assert float(lines.max()) == pytest.approx(longest, rel=0.03)
    assert made.noise(lines, lambda _, rays: 0 * rays).shape == (2, *shape)


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_the_variance_that_is_predicted_is_that_of_the_noise(
    beam: str, disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    made = scanner((96, 96), 2.5, beam=beam)
    lines = made.lines(disc(96, 2.5, 80.0)[None])
    generator = torch.Generator().manual_seed(0)

    def draw(_: int, rays: Tensor) -> Tensor:
        return (rays.exp() / 1e4).sqrt() * torch.randn(rays.shape, generator=generator)

    noise = made.noise(lines.expand(40, -1, -1), draw)
    predicted = made.variance(lines.exp() / 1e4)[0]
    assert predicted.shape == (48, 48)
    away, coarse = distance(96, 2.5), distance(48, 2.5 * COARSE)
    for near, far in ((0, 25), (25, 50), (50, 75), (85, 115)):
        found = float(noise[:, (away >= near) & (away < far)].var())
        told = float(predicted[(coarse >= near) & (coarse < far)].mean())
        assert found == pytest.approx(told, rel=0.08)
