from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.inference import sums
from meddenoise.inference.sums import Summed, Sums
from meddenoise.transforms.normalisation import Normalisation


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_a_pass_finds_does_not_depend_on_its_parts(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).normal(1000, 3, (30, 20, 10)).astype(np.float32)
    values[3, 4, 5], values[0, 0, 0] = np.nan, np.inf
    values = np.asarray(values, order=order)  # type: ignore[call-overload]
    monkeypatch.setattr(sums, "_IN_CACHE", 7)
    found = Sums.of([values[..., :3], values[..., 3:]])
    known = values[np.isfinite(values)].astype(np.float64)
    assert (found.count, found.missing) == (5998, 2)
    assert found.mean == pytest.approx(known.mean(), rel=1e-12)
    assert found.squares == pytest.approx(np.square(known - known.mean()).sum(), rel=1e-9)
    assert (found.low, found.high) == (known.min(), known.max())


@pytest.mark.parametrize("method", ["standard", "percentile", "fixed"])
def test_the_normalisation_that_another_pass_would_find(method: str) -> None:
    values = np.random.default_rng(0).gamma(2, 300, (20, 20, 20)).astype(np.float32)
    found = Sums.of([values]).normalisation(values, method=method)
    expected = Normalisation.fit(values, method)
    assert (found.shift, found.scale) == pytest.approx((expected.shift, expected.scale), rel=1e-7)
    assert found.method == method


def test_nothing_in_it() -> None:
    assert Sums.of([np.full((2, 2), np.nan)]).blank
    assert Sums.of([np.full((2, 2), 3.0)]).blank
    assert not Sums.of([np.arange(4.0)]).blank


@pytest.mark.parametrize(
    ("channels", "blank", "lowest"),
    [
        ([3.0, 3.0], True, 3.0),
        ([np.nan, 3.0], True, 3.0),
        ([np.nan, np.nan], True, np.inf),
        ([3.0, 2.0], False, 2.0),  # as where a scan is read whole
    ],
)
def test_nothing_in_any_channel(channels: list[float], blank: bool, lowest: float) -> None:
    found = Summed()
    found.sums = [Sums.of([np.full((2, 2), value)]) for value in channels]
    assert (found.blank, found.lowest) == (blank, lowest)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("values", [[-1e300, 1e300], [1e200, 2e200], [0.0, 0.0, 1e200]])
def test_values_whose_squares_are_beyond_all_numbers(values: list[float]) -> None:
    with pytest.raises(ParameterError, match=r"e\+.*too far apart to normalise"):
        Sums.of([np.array([value]) for value in values]).normalisation(None, method="standard")
