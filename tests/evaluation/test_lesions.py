from __future__ import annotations

import math

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.evaluation.lesions import (
    find_sites,
    lesion_contrast,
    lesion_patches,
    lesion_signal,
)


def test_places_lie_in_the_tissue_apart_and_where_it_is_flat() -> None:
    spacing = (1.0, 1.0, 2.0)
    mask = np.zeros((60, 60, 24), dtype=bool)
    mask[4:56, 4:56, 2:22] = True
    image = np.zeros(mask.shape)
    x = np.arange(60)
    image[:30] = 50 * np.sin(x[:30] * 2)[:, None, None]  # half of it is rough
    sites = find_sites(image, diameter=4, count=12, mask=mask, spacing=spacing, seed=1)
    assert sites.shape == (12, 3)
    assert (sites[:, 0] > 28).all()
    metric = sites * spacing
    apart = np.linalg.norm(metric[:, None] - metric[None], axis=-1) + 1e9 * np.eye(12)
    assert apart.min() >= 8 - 1e-9
    low, high = np.array([4, 4, 2]), np.array([55, 55, 21])
    assert (((sites - low) * spacing).min(), ((high - sites) * spacing).min()) > (3, 3)
    again = find_sites(image, diameter=4, count=12, mask=mask, spacing=spacing, seed=1)
    assert np.array_equal(sites, again)
    assert not np.array_equal(
        sites, find_sites(image, diameter=4, count=12, mask=mask, spacing=spacing, seed=2)
    )


def test_as_many_as_there_is_room_for() -> None:
    image = np.zeros((30, 30))
    some = find_sites(image, diameter=4, count=500)
    assert 5 < len(some) < 20
    assert len(find_sites(image, diameter=30, count=5)) == 0
    with pytest.raises(ParameterError, match="diameter is 0"):
        find_sites(image, diameter=0, count=5)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 44), (0.5, 0.5)), ((24, 24, 16), (1, 1, 2)), ((30, 30, 30), (1, 1, 1))],
)
def test_a_lesion_has_its_volume_and_its_contrast(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    centre = [n / 2 + 0.2 for n in shape]
    added = lesion_signal(shape, centre, diameter=8, contrast=-20, spacing=spacing, blur=0.4)
    assert added.min() == pytest.approx(-20, rel=0.01)
    b = 0.4
    # Integral of the profile over a disc and a ball of radius 4.
    size = math.pi * (16 + b**2) if len(shape) == 2 else 4 / 3 * math.pi * (64 + 3 * 4 * b**2)
    assert added.sum() * np.prod(spacing) == pytest.approx(-20 * size, rel=0.01)
    here = lesion_contrast(added, centre, diameter=8, spacing=spacing)
    assert here == pytest.approx(-20, rel=0.04)
    assert added[tuple([0] * len(shape))] == 0


def test_lesions_add_up_and_a_filter_takes_contrast_away() -> None:
    from scipy.ndimage import gaussian_filter

    centres = [[12.3, 14.0], [30.0, 25.7]]
    added = lesion_signal((44, 40), centres, diameter=6, contrast=10)
    one = lesion_signal((44, 40), centres[0], diameter=6, contrast=10)
    assert added.sum() == pytest.approx(2 * one.sum(), rel=1e-3)
    found = lesion_contrast(added, centres, diameter=6)
    assert found.shape == (2,)
    blurred = lesion_contrast(gaussian_filter(added, 2), centres, diameter=6)
    assert (blurred < 0.6 * found).all()
    with pytest.raises(ParameterError, match="too small for voxels"):
        lesion_contrast(added, centres, diameter=0.5)


def test_patches_are_centred_between_voxels() -> None:
    spacing = (1.0, 4.0, 1.0)
    centres = [[20.4, 3.1, 18.7], [11.8, 6.2, 25.2]]
    added = lesion_signal((44, 10, 40), centres, diameter=8, contrast=10, spacing=spacing)
    cut, sizes = lesion_patches(added, centres, diameter=8, spacing=spacing)
    assert cut.shape == (2, 17, 17)  # slices across the coarse axis
    assert sizes == (1.0, 1.0)
    for patch in cut:
        assert np.abs(patch - patch[::-1]).max() < 0.4
        assert np.abs(patch - patch[:, ::-1]).max() < 0.4
        assert patch[8, 8] == pytest.approx(10, abs=0.1)
