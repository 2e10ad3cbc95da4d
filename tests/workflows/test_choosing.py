from __future__ import annotations

import importlib.util
import re
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.workflows.choosing import choose


def test_white_noise_is_for_the_ensemble_and_with_time_for_its_refinement(scans: Any) -> None:
    found = choose(scans.scan("white"))
    assert (found.method, found.stabilise) == ("ensemble", "none")
    assert "independent" in " ".join(found.why)
    longer = choose(scans.scan("white"), budget=100)
    assert (longer.method, longer.options) == ("ensemble_refined", {"seconds": 100})
    assert choose(scans.scan("white"), budget=3).method == "ensemble"


def test_what_the_network_does_not_know_is_for_bm4d_alone(scans: Any) -> None:
    volume = scans.scan("white", modality="PT")
    assert choose(volume).method == "bm4d"
    longer = choose(volume, budget=100)
    assert longer.method == "bm4d_refined"
    assert "not trained for the modality PT" in " ".join(longer.why)


def test_rician_noise_is_stabilised(scans: Any) -> None:
    found = choose(scans.scan("rician"))
    assert (found.method, found.stabilise) == ("ensemble", "rician")
    assert "Rician" in found.why[0]


@pytest.mark.parametrize("kind", ["along x", "everywhere"])
@pytest.mark.parametrize("budget", [None, 600.0])
def test_bm4d_is_told_of_noise_that_is_strongly_correlated(
    scans: Any, kind: str, budget: float | None
) -> None:
    found = choose(scans.scan(kind), budget=budget)
    assert (found.method, found.options) == ("bm4d", {})
    why = " ".join(found.why)
    assert re.search(
        r"along x \(0.\d+ with" if kind == "along x" else r"along x .* and y .* and z", why
    )
    assert "strongly correlated" in why
    assert ("the budget is left" in why) is (budget is not None)
    assert found.correlation is not None
    assert found.correlation.nearest[0] > 0.5


def test_what_is_correlated_less_the_network_bears(scans: Any) -> None:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(1).standard_normal((56, 56, 40))
    smooth = gaussian_filter(noise, (0.53, 0, 0), mode="wrap")
    array = (scans.anatomy() + scans.sigma * smooth / smooth.std()).astype(np.float32)
    found = choose(md.Volume.from_array(array), budget=600)
    assert (found.method, found.options) == ("ensemble", {})
    assert "correlated along x" in " ".join(found.why)


@pytest.mark.skipif(importlib.util.find_spec("dipy") is None, reason="needs dipy")
def test_a_series_is_compared_with_itself(scans: Any) -> None:
    draws = np.random.default_rng(2)
    clean = np.stack([scans.anatomy() * scale for scale in np.linspace(0.7, 1.3, 8)])
    volume = md.Volume.from_array(clean + scans.sigma * draws.standard_normal(clean.shape))
    found = choose(volume)
    assert found.method == "mppca"
    assert "Its 8 volumes are compared" in " ".join(found.why)
    assert "the budget is left" in " ".join(choose(volume, budget=60).why)
    copied = volume.array.copy()
    copied[:4] = copied[4]
    assert choose(volume.with_array(copied)).method == "ensemble"
    volume.array[:4] = 0
    assert choose(volume).method == "ensemble"


def test_a_level_that_is_said_is_taken_over(scans: Any) -> None:
    found = choose(scans.scan("white"), sigma=5.0)
    assert "5, as was said" in found.why[0]


def test_no_noise_to_be_seen() -> None:
    ramp = np.broadcast_to(np.arange(40.0, dtype=np.float32)[:, None, None], (40, 40, 40))
    found = choose(md.Volume.from_array(ramp.copy()))
    assert found.method == "identity"


def test_too_small_to_tell() -> None:
    with pytest.raises(ParameterError, match="noise"):
        choose(md.Volume.from_array(np.arange(8.0, dtype=np.float32).reshape(2, 2, 2)))
