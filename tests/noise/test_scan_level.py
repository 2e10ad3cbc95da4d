from __future__ import annotations

import numpy as np
import pytest

from meddenoise.data.samples import sample
from meddenoise.errors import ParameterError
from meddenoise.noise import simulate
from meddenoise.noise.scan_level import scan_sigma
from meddenoise.volume import Volume


def test_the_level_of_a_magnitude_scan_with_much_air() -> None:
    # The wavelet estimate over the whole scan is a quarter too low: air is Rayleigh.
    noisy = simulate(sample("head"), "rician", sigma=75.0)
    assert scan_sigma(noisy) == pytest.approx(75, rel=0.03)


def test_each_channel_by_itself_and_only_what_was_measured() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(1000, [[[[5.0]]], [[[20.0]]]], (2, 40, 40, 30)).astype(np.float32)
    array[:, :10] = -3024
    volume = Volume(array, np.eye(4), padding=array == -3024)
    assert scan_sigma(volume, 0) == pytest.approx(5, rel=0.05)
    assert scan_sigma(volume, 1) == pytest.approx(20, rel=0.05)
    with pytest.raises(ParameterError, match="constant"):
        scan_sigma(Volume.from_array(np.zeros((9, 9, 9))))
