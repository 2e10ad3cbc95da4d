from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import check_count, check_number, checked_map, poisson_counts


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mean", [1e11, 1e13, 1e20])
def test_many_counts_have_their_mean_and_variance(mean: float, dtype: torch.dtype) -> None:
    means = torch.full((100_000,), mean, dtype=dtype)
    counts = poisson_counts(means, seeded())
    apart = (counts - means).double() / mean**0.5
    assert counts.dtype == dtype
    if mean < 1e14 or dtype == torch.float64:
        assert apart.std() == pytest.approx(1, rel=0.01)
    # Spreads that single precision does not have come out as none.
    assert abs(float(apart.mean())) < 0.02
    assert torch.equal(counts, poisson_counts(means, seeded()))


def test_few_counts_are_drawn_as_ever_beside_many() -> None:
    means = torch.full((1000,), 7.0)
    alone = poisson_counts(means, seeded())
    means[-1] = 1e25
    beside = poisson_counts(means, seeded())
    assert torch.equal(beside[:-1], alone[:-1])
    assert beside[-1] == pytest.approx(1e25, rel=1e-6)


@pytest.mark.parametrize("value", [np.float32(2), np.float64(2), np.int64(2), np.uint8(2), 2])
def test_numbers_of_numpy_are_numbers(value: Any) -> None:
    assert check_number("sigma", value, unit="image units") == 2.0
    assert type(check_number("sigma", value, unit="image units")) is float


def test_counts_of_numpy_are_whole_numbers() -> None:
    assert type(check_count("coils", np.int64(8), unit="receive coils")) is int
    with pytest.raises(ParameterError, match="whole number"):
        check_count("coils", np.float32(8), unit="receive coils")


@pytest.mark.parametrize("value", [True, np.bool_(True), "2", None, np.ones(2)])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(ParameterError, match="must be a number"):
        check_number("sigma", value, unit="image units")
    with pytest.raises(ParameterError, match="must be a whole number"):
        check_count("coils", value, unit="receive coils")


def test_a_whole_number_of_hundreds_of_digits() -> None:
    for check in (check_number, check_count):
        with pytest.raises(ParameterError, match="sigma is inf: it must be finite"):
            check("sigma", 10**400, unit="image units")


def test_maps_of_any_memory_and_type() -> None:
    x, ramp = torch.zeros(3, 4), np.arange(12, dtype=np.float32).reshape(3, 4)
    for given in (
        ramp.astype(">f4"),
        ramp[::-1].copy()[::-1],
        ramp.astype(np.uint16),
        np.asfortranarray(ramp),
        ramp.tolist(),
        torch.from_numpy(ramp),
    ):
        found = checked_map("m", given, x, unit="times")
        np.testing.assert_array_equal(found.numpy(), ramp)
    for wrong in (ramp * 1j, "map", [[1], [2, 3]]):
        with pytest.raises(ParameterError, match=r"m must be a map on the image's grid"):
            checked_map("m", wrong, x, unit="times")
