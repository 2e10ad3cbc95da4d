from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.transforms.normalisation import Normalisation


def image() -> np.ndarray:
    return np.random.default_rng(0).gamma(2, 300, (20, 20, 20)).astype(np.float32)


def test_standard() -> None:
    normalised = Normalisation.fit(image()).apply(image())
    assert normalised.mean() == pytest.approx(0, abs=1e-5)
    assert normalised.std() == pytest.approx(1, rel=1e-5)
    assert normalised.dtype == np.float32


def test_percentile() -> None:
    normalised = Normalisation.fit(image(), "percentile", low=1, high=99).apply(image())
    assert np.percentile(normalised, 1) == pytest.approx(0, abs=1e-5)
    assert np.percentile(normalised, 99) == pytest.approx(1, rel=1e-5)


def test_fixed_takes_no_notice_of_the_image() -> None:
    fixed = Normalisation.fit([], "fixed", shift=-1000, scale=500)
    assert fixed == Normalisation(-1000.0, 500.0, "fixed")
    assert fixed.apply(np.array([0.0]))[0] == 2


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, int])
def test_numbers_of_numpy_are_numbers(kind: type) -> None:
    given = Normalisation(kind(-3), kind(2))
    assert given == Normalisation(-3.0, 2.0)
    assert json.loads(json.dumps(given.to_dict())) == given.to_dict()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("offset", [0, -1024, 30000])
def test_the_inverse_is_exact(kind: str, offset: float) -> None:
    values = image() + np.float32(offset)
    given = values if kind == "numpy" else torch.from_numpy(values)
    fitted = Normalisation.fit(values)
    back = fitted.invert(fitted.apply(given))
    assert type(back) is type(given)
    assert back.dtype == given.dtype
    # Within two units in the last place of the largest number.
    largest = np.abs(values).max()
    np.testing.assert_allclose(np.asarray(back), values, rtol=0, atol=2 * np.spacing(largest))


def test_voxels_that_are_not_finite_do_not_count() -> None:
    holed = np.append(image(), [np.nan, np.inf]).astype(np.float32)
    assert Normalisation.fit(holed) == Normalisation.fit(image().ravel())


def test_through_json() -> None:
    fitted = Normalisation.fit(image(), "percentile")
    assert Normalisation.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


@pytest.mark.parametrize(
    "values",
    [
        {"shift": 0.0, "scale": 1.0},
        {"shift": 0.0, "scale": 1.0, "method": "fixed", "more": 1},
        {"shift": 0.0, "scale": 0.0, "method": "fixed"},
        {"shift": "0", "scale": 1.0, "method": "fixed"},
        {"shift": float("nan"), "scale": 1.0, "method": "fixed"},
        {"shift": 0.0, "scale": 1.0, "method": "magic"},
    ],
)
def test_a_damaged_record(values: dict) -> None:
    with pytest.raises(ParameterError):
        Normalisation.from_dict(values)


@pytest.mark.parametrize("value", [0.0, 1234.567])
@pytest.mark.parametrize("method", ["standard", "percentile"])
def test_a_constant_image(value: float, method: str) -> None:
    with pytest.raises(ParameterError, match=r"constant.*no contrast"):
        Normalisation.fit(np.full((50, 50), value, dtype=np.float32), method)


def test_nothing_finite_and_impossible_percentiles() -> None:
    with pytest.raises(ParameterError, match="no finite voxel"):
        Normalisation.fit(np.full(4, np.nan))
    with pytest.raises(ParameterError, match="percentiles 99 and 1"):
        Normalisation.fit(image(), "percentile", low=99, high=1)
    with pytest.raises(ParameterError, match="no normalisation 'zscore'"):
        Normalisation.fit(image(), "zscore")


def test_it_needs_neither_torch_nor_monai() -> None:
    script = (
        "import sys; from meddenoise.transforms import Normalisation; Normalisation.fit([0., 1.]); "
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_into_an_array_that_is_there(kind: type[np.floating]) -> None:
    values = image().astype(kind)
    fitted = Normalisation.fit(values)
    out = np.empty(values.shape, np.float32)
    assert fitted.apply(values, out=out) is out
    np.testing.assert_allclose(out, fitted.apply(values), rtol=1e-6, atol=1e-6)
    assert fitted.invert(out, out=out) is out
    np.testing.assert_allclose(out, values, rtol=1e-5)
