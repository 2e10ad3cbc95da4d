from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meddenoise.noise.correlation import Correlation
from meddenoise.noise.estimation import NoiseEstimate

NONE = (0.02, -0.01, 0.0)
NEXT = (0.4, 0.1, 0.0)
WHITE = NoiseEstimate(
    sigma=20.0,
    model="gaussian",
    coils=1,
    correlation=Correlation((NONE, NONE, NONE)),
    background=None,
    tissue=20.0,
    reference=400.0,
)


def test_independent_noise_is_for_noise2void() -> None:
    assert WHITE.advice == "The noise is independent from voxel to voxel: Noise2Void may be used."


def test_noise_correlated_along_some_axes() -> None:
    advice = replace(WHITE, correlation=Correlation((NEXT, NONE, NONE))).advice
    assert "correlated along x (0.40 with the next voxel)" in advice
    assert "Noise2Void would keep it" in advice
    assert "struct_noise2void, which hides neighbours along x as well" in advice


def test_noise_correlated_along_all_axes_leaves_nothing_to_hide() -> None:
    advice = replace(WHITE, correlation=Correlation((NEXT, NEXT, NEXT))).advice
    assert "along x (0.40 with the next voxel) and y" in advice
    assert "struct_noise2void" not in advice
    assert "bm4d" in advice


def test_what_decided_is_named() -> None:
    far = Correlation((NONE, (0.05, -0.3, 0.1), NONE))
    assert "y (-0.30 with the voxel 2 further on)" in replace(WHITE, correlation=far).advice


def test_several_volumes_have_methods_of_their_own() -> None:
    correlated = replace(WHITE, correlation=Correlation((NEXT, NONE, NONE)), mppca=20.0)
    assert "mppca or patch2self" in correlated.advice


def test_a_small_image_cannot_tell() -> None:
    unknown = Correlation(((np.nan,) * 3,) * 3)
    assert "too small to tell" in replace(WHITE, correlation=unknown).advice


def test_weak_noise_is_said_to_be_weak() -> None:
    assert "weak (0.25 % of" in replace(WHITE, sigma=1.0).advice
    assert "weak" not in replace(WHITE, sigma=1.0, reference=float("nan")).advice
    assert replace(WHITE, sigma=0.0).advice == "No noise can be seen."


@pytest.mark.parametrize(("background", "odd"), [(19.0, False), (5.0, True), (60.0, True)])
def test_a_background_unlike_the_tissue_is_named(background: float, odd: bool) -> None:
    advice = replace(WHITE, background=background).advice
    assert (f"The background's noise ({background:.4g}) is not that" in advice) == odd


def test_noise_without_a_model() -> None:
    assert "No model here describes its noise" in replace(WHITE, model="unknown").advice
