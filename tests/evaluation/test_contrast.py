from __future__ import annotations

import math

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.evaluation.contrast import cnr, contrast_recovery


def test_cnr_and_recovery() -> None:
    draws = np.random.default_rng(0)
    region = np.zeros((100, 100), dtype=bool)
    region[:50] = True
    clean = np.where(region, 40.0, 100.0)
    noisy = clean + np.where(
        region, draws.normal(0, 3, clean.shape), draws.normal(0, 4, clean.shape)
    )
    assert cnr(noisy, region, ~region) == pytest.approx(60 / math.sqrt((9 + 16) / 2), rel=0.03)
    assert cnr(noisy, ~region, region) == cnr(noisy, region, ~region)
    assert contrast_recovery(clean, 0.7 * noisy + 5, region, ~region) == pytest.approx(
        0.7, abs=0.01
    )


def test_where_they_are_undefined() -> None:
    flat, region = np.ones((10, 10)), np.eye(10, dtype=bool)
    with pytest.raises(ParameterError, match="CNR is undefined"):
        cnr(flat, region, ~region)
    with pytest.raises(ParameterError, match="no contrast"):
        contrast_recovery(flat, flat, region, ~region)
    with pytest.raises(ParameterError, match="0 finite voxels"):
        cnr(flat, np.zeros_like(region), region)
    with pytest.raises(ParameterError, match="mask has shape"):
        cnr(flat, region[1:], region)
