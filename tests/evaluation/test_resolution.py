from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erf

from meddenoise.evaluation.resolution import edge_transfer, edge_width, find_edges, line_spread

BLUR = 2.0  # mm, a standard deviation
WIDTH = 2 * math.sqrt(2 * math.log(2)) * BLUR
F50 = math.sqrt(math.log(2) / 2) / (math.pi * BLUR)


def slanted(angle: float, spacing: tuple[float, ...], across: int | None = None) -> np.ndarray:
    """A straight edge of Gaussian blur with a little noise, its normal ``angle`` from the first of
    the two axes that it lies in; of a volume all slices ``across`` an axis are alike."""
    plane = [s for axis, s in enumerate(spacing) if axis != across]
    x, y = ((np.arange(200) - 99.5) * s for s in plane)
    away = x[:, None] * math.cos(angle) + y * math.sin(angle)
    image = 50 * erf(away / (math.sqrt(2) * BLUR))
    if across is not None:
        image = np.repeat(np.expand_dims(image, across), 3, axis=across)
    return image + 0.01 * np.random.default_rng(0).standard_normal(image.shape)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, math.pi / 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 1.5)])
def test_an_edge_is_as_wide_as_its_blur_whichever_way_it_runs(
    angle: float, spacing: tuple[float, float]
) -> None:
    image = slanted(angle, spacing)
    edges = find_edges(image, spacing=spacing)
    assert edge_width(image, edges, spacing=spacing).width == pytest.approx(WIDTH, rel=0.02)
    assert edge_transfer(image, edges, spacing=spacing)[0].f50 == pytest.approx(F50, rel=0.02)


@pytest.mark.parametrize("spacing", [(0.9, 1.3, 1.3), (0.9, 4.0, 1.3)])
def test_slices_of_oblong_voxels(spacing: tuple[float, ...]) -> None:
    image = slanted(0.0, spacing, across=2 if spacing[1] == spacing[2] else 1)
    edges = find_edges(image, spacing=spacing)
    assert edge_width(image, edges, spacing=spacing).width == pytest.approx(WIDTH, rel=0.02)


def test_places_are_a_quarter_of_a_voxel_apart() -> None:
    image = slanted(0.3, (0.8, 0.8))
    places, line = line_spread(image, find_edges(image), spacing=(0.8, 0.8), reach=4)
    assert len(places) == len(line) == 32
    assert places == pytest.approx((np.arange(32) - 15.5) * 0.2)


@pytest.mark.filterwarnings("error")
def test_an_image_that_is_flat_nearly_everywhere() -> None:
    x, y = np.ogrid[-150:150, -150:150]
    image = np.where(x**2 + y**2 < 60**2, 100.0, 0.0)
    normals = find_edges(image).normals
    assert len(normals) >= 200
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(normals)))
