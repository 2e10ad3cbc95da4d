"""meddenoise.data.samples.abdomen: the organs are where they belong, in HU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from meddenoise.data.samples import sample
from meddenoise.data.samples.canvas import Canvas
from meddenoise.data.samples.fields import Grid
from meddenoise.data.samples.organs import LIVER, branches, paint_lesions
from meddenoise.data.samples.shapes import ellipsoid
from meddenoise.volume import Volume

Probe = Callable[[Volume, tuple[float, float, float], float], np.ndarray]


def test_default_grid(abdomen: Volume) -> None:
    assert abdomen.shape == (160, 128, 96)
    np.testing.assert_allclose(abdomen.spacing, (2.2, 2.2, 3.0))


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [
        ((90, 10, 30), 100, 120),  # liver, on the patient's right
        ((-105, -40, 60), 112, 132),  # spleen, on the left
        ((-8, 2, 0), 155, 185),  # aorta
        ((0, -30, -110), 40, 500),  # spine
        ((33, -72, -60), 40, 75),  # erector spinae
        ((75, 0, 138), -900, -780),  # lung base
    ],
)
def test_organs(
    abdomen: Volume, probe: Probe, place: tuple[float, float, float], low: float, high: float
) -> None:
    assert low < np.median(probe(abdomen, place, 5)) < high


def test_kidney_cortex_is_brighter_than_medulla(abdomen: Volume, probe: Probe) -> None:
    kidney = probe(abdomen, (64, -30, -14), 26)
    assert np.mean((kidney > 175) & (kidney < 205)) > 0.05
    assert np.mean((kidney > 130) & (kidney < 160)) > 0.05


def test_range_and_share_of_tissues(abdomen: Volume) -> None:
    image = abdomen.array[0]
    assert image.min() == -1000
    assert 700 < image.max() < 1200
    for corner in (image[:6, -6:], image[-6:, -6:], image[:6, :6], image[-6:, :6]):
        np.testing.assert_array_equal(corner, -1000)
    body = image > -300
    assert 0.25 < body.mean() < 0.6
    assert 0.2 < np.mean((image > -125) & (image < -85)) / body.mean() < 0.6
    bone = (image > 300).mean() / body.mean()
    assert 0.01 < bone < 0.08


def test_bowel_gas_lies_inside_the_body(abdomen: Volume, probe: Probe) -> None:
    """Below the lungs there are voxels of gas that touch no air from outside."""
    from scipy import ndimage

    image = abdomen.array[0][:, :, 4:44]
    labels, _ = ndimage.label(image < -500)
    outside = set(np.unique(labels[[0, -1]])) | set(np.unique(labels[:, [0, -1]]))
    gas = ~np.isin(labels, list(outside)) & (image < -800)
    assert gas.sum() > 300


def test_lesions_are_of_low_contrast_and_several_sizes() -> None:
    from scipy import ndimage

    grid = Grid((100, 100, 100), (200.0, 200.0, 200.0))
    rng = np.random.default_rng(0)
    canvas = Canvas(grid, rng, background=LIVER, warp=0.0)
    paint_lesions(canvas, ellipsoid(canvas.position, (0, 0, 0), (95, 95, 95)), rng)
    assert canvas.image.min() >= LIVER - 30
    labels, count = ndimage.label(canvas.image < LIVER - 10)
    assert count >= 4
    volumes = ndimage.sum_labels(np.ones_like(labels), labels, range(1, count + 1)) * 8  # mm^3
    assert volumes.max() > 20 * volumes.min()
    assert LIVER - 31 < canvas.image[canvas.image < LIVER - 14].mean() < LIVER - 15


def test_vessels_fork_and_taper() -> None:
    tree = list(branches(np.random.default_rng(1), (0, 0, 0), (1, 0, 0), 5.0))
    assert len(tree) > 10
    starts = [tuple(a) for a, *_ in tree]
    assert max(starts.count(s) for s in starts) == 2
    assert all(r_end < r_start <= 5.0 for *_, r_start, r_end in tree)
    assert min(r_start for *_, r_start, _ in tree) > 0.5


def test_subjects_differ_in_fat() -> None:
    shares = []
    for seed in range(4):
        image = sample("abdomen", seed, (48, 40, 32)).array
        shares.append(np.mean((image > -125) & (image < -85)) / np.mean(image > -300))
    assert max(shares) - min(shares) > 0.03


@pytest.mark.parametrize("shape", [(16, 16, 16), (33, 20, 47)])
def test_any_shape_still_holds_a_body(shape: tuple[int, int, int]) -> None:
    image = sample("abdomen", 0, shape).array
    assert image.min() == -1000
    assert image.max() > 150
    assert 0.25 < np.mean(image > -300) < 0.7
