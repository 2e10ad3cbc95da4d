"""``method="auto"``, from a scan to its result."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ParameterError


def error(image: md.Volume, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(image.array[0] - clean))))


def run(volume: md.Volume, **how: Any) -> tuple[md.Volume, str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = md.denoise(volume, method="auto", **how)
    return result, " ".join(str(w.message) for w in said)


def test_it_says_what_it_does_and_does_it(scans: Any) -> None:
    result, said = run(scans.scan("white"))
    assert "Taken: ensemble, the mean of bm4d and the network that ships." in said
    assert error(result, scans.anatomy()) < 0.35 * scans.sigma
    named = md.denoise(scans.scan("white"), method="ensemble")
    assert np.array_equal(result.array, named.array)


def test_the_bias_of_rician_noise_goes_with_it(scans: Any) -> None:
    result, _ = run(scans.scan("rician"))
    empty = scans.anatomy() == 0
    plain = md.denoise(scans.scan("rician"), method="ensemble")
    assert plain.array[0][empty].mean() > 1.1 * scans.sigma
    assert result.array[0][empty].mean() < 0.4 * scans.sigma
    as_it_is, _ = run(scans.scan("rician"), stabilise="none")
    assert np.array_equal(as_it_is.array, plain.array)


def test_with_time_the_filter_is_refined(scans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meddenoise.workflows.choosing.SHORTEST_TRAINING", 1.0)
    result, said = run(scans.scan("white"), budget=6)
    assert "refined by what is learnt from the scan" in said
    alone = md.denoise(scans.scan("white"), method="ensemble")
    clean = scans.anatomy()
    assert error(result, clean) < 1.01 * error(alone, clean)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"budget": -1.0}, "above 0"),
        ({"budget": 60.0, "method": "median"}, "--method auto"),
        ({"options": {"search": 3}}, "auto chooses"),
        ({"model": "model.safetensors"}, "either"),
    ],
)
def test_what_does_not_go_together(scans: Any, how: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        md.denoise(scans.scan("white"), **{"method": "auto", **how})
