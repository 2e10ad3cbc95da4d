from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from meddenoise.errors import MissingDependency, ParameterError
from meddenoise.evaluation.perceptual import lpips


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stands in for the package, whose weights need a network: a distance that can be predicted."""
    seen: list[Any] = []

    class Network:
        def __init__(self, **options: Any) -> None:
            seen.append(options)

        def eval(self) -> Network:
            return self

        def __call__(self, one: Any, other: Any) -> Any:
            seen.append((one, other))
            return (one - other).abs().mean(dim=(1, 2, 3))

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Network))
    return seen


def test_slices_in_three_channels_from_minus_one_to_one(package: list[Any]) -> None:
    reference = np.zeros((40, 36, 10))
    reference[..., 5:] = 400
    found = lpips(reference, reference + 50, data_range=200, low=-100, spacing=(1, 1, 3))
    # 0 and 50 are 0 and 0.5 of the scale; 400 and 450 are both clipped to 1.
    assert found == pytest.approx((5 * 0.5 + 5 * 0) / 10)
    assert package[0] == {"net": "alex", "version": "0.1", "verbose": False}
    shapes = [tuple(one.shape) for one, _ in package[1:]]
    assert shapes == [(8, 3, 40, 36), (2, 3, 40, 36)]
    assert float(package[1][0].min()) == 0
    assert float(package[2][0].max()) == 1


def test_small_slices(package: list[Any]) -> None:
    with pytest.raises(ParameterError, match="32 x 32"):
        lpips(np.zeros((20, 40)), np.ones((20, 40)), data_range=1, low=0)


def test_without_the_package_or_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((40, 40))
    if importlib.util.find_spec("lpips") is None:
        with pytest.raises(MissingDependency, match=r'pip install "meddenoise\[lpips\]"'):
            lpips(image, image, data_range=1, low=0)

    def unreachable(**_: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=unreachable))
    with pytest.raises(MissingDependency, match="weights that LPIPS needs"):
        lpips(image, image, data_range=1, low=0)
