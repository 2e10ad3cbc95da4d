"""The network taught the very scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.pretrained.ready import ReadyDenoiser
from meddenoise.workflows.adapted import adapt


@pytest.fixture(scope="module")
def ready() -> ReadyDenoiser:
    return ReadyDenoiser.load(device="cpu")


def weights(ready: ReadyDenoiser) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in ready.network.parameters()]


def test_a_network_that_knew_little_becomes_better(scans: Any, ready: ReadyDenoiser) -> None:
    """Half of what it takes away is put back, so that there is something to learn."""
    import copy

    spoilt = ReadyDenoiser(copy.copy(ready.denoiser))
    spoilt.denoiser.network = copy.deepcopy(ready.network)
    with torch.no_grad():
        spoilt.network.body.out.weight.mul_(0.5)
    before = weights(spoilt)
    noisy = scans.scan("white").array[0] / scans.sigma
    clean = scans.anatomy() / scans.sigma
    valid = np.ones(noisy.shape, dtype=bool)
    with pytest.warns(UserWarning, match="dB better"):
        adapted = adapt(spoilt, noisy, 8.0, valid=valid)
    errors = [float(np.mean((one(noisy) - clean) ** 2)) for one in (spoilt, adapted)]
    assert errors[1] < 0.95 * errors[0]
    # The network that was given is as it was.
    assert all(torch.equal(a, b) for a, b in zip(before, weights(spoilt), strict=True))


def test_where_nothing_becomes_better_the_weights_stay(
    scans: Any, ready: ReadyDenoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meddenoise.workflows.adapted._RATE", 0.3)  # ruins any network
    noisy = scans.scan("white").array[0] / scans.sigma
    with pytest.warns(UserWarning, match="made nothing better"):
        adapted = adapt(ready, noisy, 5.0, valid=np.ones(noisy.shape, dtype=bool))
    assert adapted is ready


def test_correlated_noise_is_not_learned(scans: Any) -> None:
    with pytest.warns(UserWarning, match="it is not adapted"):
        md.denoise(scans.scan("everywhere"), adapt=60, device="cpu")


def test_a_thin_scan_is_not_learned_from(ready: ReadyDenoiser) -> None:
    thin = np.random.default_rng(0).normal(size=(40, 40, 6))
    with pytest.warns(UserWarning, match="fewer than 16"):
        assert adapt(ready, thin, 60.0, valid=np.ones(thin.shape, dtype=bool)) is ready
