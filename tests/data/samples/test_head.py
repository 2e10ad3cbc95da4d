"""meddenoise.data.samples.head: the tissues are there and of the right brightness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from meddenoise.data.samples import sample
from meddenoise.volume import Volume

Probe = Callable[[Volume, tuple[float, float, float], float], np.ndarray]


def test_default_grid(head: Volume) -> None:
    assert head.shape == (128, 160, 128)
    np.testing.assert_allclose(head.spacing, 1.35)


def test_white_is_brighter_than_grey_is_brighter_than_csf(head: Volume, probe: Probe) -> None:
    white = np.median(probe(head, (-28, -14, 30), 3))
    thalamus = np.median(probe(head, (11, -13, 8), 3))
    ventricle = probe(head, (8, 2, 20), 5).min()
    assert 560 < white < 800
    assert 420 < thalamus < white - 60
    assert ventricle < 180


def test_air_is_zero_and_fat_is_brightest(head: Volume) -> None:
    image = head.array[0]
    assert image.min() == 0
    for corner in (image[:8, :8, -8:], image[-8:, -8:, -8:], image[:8, -8:, :8]):
        np.testing.assert_array_equal(corner, 0)
    assert 800 < np.percentile(image, 99.9) < 1050
    assert image.max() < 1300


def test_the_skull_is_dark_between_scalp_and_brain(head: Volume) -> None:
    """Down a line from the vertex: air, bright fat, dark bone, brain."""
    image, z = head.array[0], head.affine[2, 2] * np.arange(128) + head.affine[2, 3]
    line = image[70, 75, ::-1]
    skin = int(np.argmax(line > 300))
    assert 60 < z[::-1][skin] < 84
    scalp = line[skin : skin + 6]
    wall = line[skin + 3 : skin + 14]
    assert scalp.max() > 600
    assert wall.min() < 150


def test_the_cortex_is_folded(head: Volume) -> None:
    """A shell just under the brain's surface holds CSF, grey and white matter in turn."""
    axes = [head.affine[i, i] * np.arange(n) + head.affine[i, 3] for i, n in enumerate(head.shape)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt((x / 62) ** 2 + ((y + 4) / 79) ** 2 + ((z - 4) / 58) ** 2)
    shell = head.array[0][(radius > 0.8) & (radius < 0.88) & (z > 15)]
    assert 0.03 < np.mean(shell < 300) < 0.4
    assert 0.2 < np.mean((shell > 380) & (shell < 560)) < 0.75
    assert 0.1 < np.mean(shell > 600) < 0.6


def test_the_bias_field_is_smooth_and_moderate(head: Volume) -> None:
    white = head.array[0][(head.array[0] > 590) & (head.array[0] < 830)]
    spread = np.percentile(white, 95) / np.percentile(white, 5)
    assert 1.05 < spread < 1.5


def test_subjects_differ_in_size() -> None:
    volumes = [float((sample("head", s, (32, 40, 32)).array > 150).sum()) for s in range(5)]
    assert max(volumes) / min(volumes) > 1.03


@pytest.mark.parametrize("shape", [(16, 16, 16), (17, 40, 23)])
def test_any_shape_still_holds_a_head(shape: tuple[int, int, int]) -> None:
    image = sample("head", 0, shape).array[0]
    assert image.max() > 600
    assert 0.2 < np.mean(image > 100) < 0.8
