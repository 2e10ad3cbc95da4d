from __future__ import annotations

import math

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise.ct.kernels import Kernel, chosen_kernel, named_kernel, ramp_power


def at(kernel: Kernel, *frequencies: float) -> list[float]:
    return kernel(torch.tensor(frequencies, dtype=torch.float64)).tolist()


def test_named_kernels_are_their_formulas() -> None:
    assert at(named_kernel("ramp", 0.5), 0, 0.25, 0.5, 0.51) == [1, 1, 1, 0]
    sinc = 2 / math.pi
    found = at(named_kernel("shepp-logan", 0.5), 0, 0.5, 0.6)
    assert found == pytest.approx([1, sinc, 0])
    assert at(named_kernel("hann", 0.5), 0, 0.25, 0.5) == pytest.approx([1, 0.5, 0], abs=1e-4)
    assert at(named_kernel("hann", 0.5, cutoff=0.5), 0.125, 0.25) == pytest.approx(
        [0.5, 0], abs=1e-4
    )


def test_the_power_of_the_ramp() -> None:
    # 2 * integral of f^2 from 0 to c.
    assert ramp_power(named_kernel("ramp", 0.5)) == pytest.approx(2 * 0.5**3 / 3, rel=1e-4)
    # With K = (1 + cos(pi f / c)) / 2 the integral of f^2 K^2 is c^3 (1/8 - 15 / 16 pi^2).
    hann = 2 * 0.5**3 * (1 / 8 - 15 / (16 * math.pi**2))
    assert ramp_power(named_kernel("hann", 0.5)) == pytest.approx(hann, rel=1e-3)


def test_a_kernel_of_ones_own() -> None:
    own = Kernel((0.0, 0.2, 0.4), (1.0, 0.5, 0.1))
    assert chosen_kernel(own, 1.0) is own
    assert at(own, 0.1, 0.4, 0.41) == pytest.approx([0.75, 0.1, 0])


@pytest.mark.parametrize(
    ("name", "cutoff", "message"),
    [
        ("hamm", 1.0, "kernel is 'hamm'.*ramp, shepp-logan, hann"),
        ("measured", 1.0, "kernel is 'measured'"),
        ("hann", 0.0, "cutoff is 0.*above 0.*Nyquist"),
        ("hann", 2.0, "cutoff is 2.*at most 1.4"),
    ],
)
def test_impossible_kernels(name: str, cutoff: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        chosen_kernel(name, 1.0, cutoff)
