from __future__ import annotations

import pytest
import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.fields import band, distance, power_law, uniform


def test_a_number_between_two() -> None:
    drawn = [uniform(2, 32, generator("u", n), log=True) for n in range(400)]
    assert min(drawn) >= 2
    assert max(drawn) <= 32
    # The logarithm is uniform, so the median is the geometric mean.
    assert float(torch.tensor(drawn).median()) == pytest.approx(8, rel=0.25)


@pytest.mark.parametrize("shape", [(64, 60), (40, 32, 36)])
def test_fields_have_unit_variance_and_are_functions_of_the_seed(shape: tuple[int, ...]) -> None:
    fields = band(3, shape, 8, generator("f"))
    assert fields.shape == (3, *shape)
    assert fields.dtype == torch.float32
    torch.testing.assert_close(fields.flatten(1).std(1), torch.ones(3), rtol=1e-4, atol=0)
    torch.testing.assert_close(fields.flatten(1).mean(1), torch.zeros(3), rtol=0, atol=1e-4)
    assert torch.equal(fields, band(3, shape, 8, generator("f")))
    assert not torch.equal(fields, band(3, shape, 8, generator("g")))
    assert abs(float((fields[0] * fields[1]).mean())) < 0.5  # not copies


@pytest.mark.parametrize("wavelength", [5.0, 12.0, 24.0])
def test_waves_have_the_length_that_was_asked_for(wavelength: float) -> None:
    field = band(1, (96, 96), wavelength, generator("w"), octaves=0.2)[0]
    power = torch.fft.rfft2(field).abs() ** 2
    fx, fy = torch.fft.fftfreq(96)[:, None], torch.fft.rfftfreq(96)[None]
    mean = (power * (fx**2 + fy**2).sqrt()).sum() / power.sum()
    assert 1 / float(mean) == pytest.approx(wavelength, rel=0.15)


def test_a_higher_exponent_is_smoother() -> None:
    rough, smooth = (power_law(1, (64, 64), e, generator("p"))[0] for e in (1.0, 3.0))

    def step(field: torch.Tensor) -> float:
        return float((field[1:] - field[:-1]).std())

    assert step(smooth) < step(rough) / 2


def test_the_distance_to_a_plane_is_in_voxels() -> None:
    ramp = 0.3 * torch.arange(32.0)[:, None].expand(32, 16)
    away = distance(ramp, 0.3 * 10)
    torch.testing.assert_close(away[1:-1, 3], torch.arange(32.0)[1:-1] - 10, rtol=1e-3, atol=1e-3)
