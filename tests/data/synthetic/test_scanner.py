from __future__ import annotations

import pytest
import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.scanner import blurred, resolved, shaded, thick_slices


def test_blur_keeps_the_mean_and_widens_a_point() -> None:
    point = torch.zeros(21, 21, 21)
    point[10, 10, 10] = 1
    spread = blurred(point, [1.0, 0.0, 0.5])
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    axis = torch.arange(21.0) - 10
    along = [float((spread.sum(others) * axis**2).sum()) for others in ((1, 2), (0, 2), (0, 1))]
    assert along[0] == pytest.approx(1.0, rel=0.1)
    assert along[1] == 0
    assert along[2] == pytest.approx(0.25, rel=0.2)


def test_shading_is_smooth_and_positive() -> None:
    field = shaded(torch.ones(32, 32), generator("s"))
    assert float(field.min()) > 0.4
    assert float(field.max()) < 2.0
    assert float((field[1:] - field[:-1]).abs().max()) < 0.1


def test_thick_slices_are_means() -> None:
    image = torch.arange(24.0).view(2, 2, 6)
    thick = thick_slices(image, 2, 3)
    assert thick.shape == (2, 2, 2)
    torch.testing.assert_close(thick[0, 0], torch.tensor([1.0, 4.0]))
    assert thick_slices(image, 0, 1) is image


def test_wider_voxels_keep_the_mean_and_mix_what_is_fine() -> None:
    checks = (torch.arange(48) % 2).float().expand(48, 48)
    seen = resolved(checks, (24, 24))
    assert seen.shape == (24, 24)
    # Lines of a voxel each are grey in voxels of two.
    torch.testing.assert_close(seen[2:-2, 2:-2], torch.full((20, 20), 0.5), atol=0.02, rtol=0)
    volume = torch.rand(36, 20, 24, generator=generator("v"))
    seen = resolved(volume, (20, 20, 20))
    assert float(seen.mean()) == pytest.approx(float(volume.mean()), abs=0.01)
    assert float(seen.std()) < 0.8 * float(volume.std())


def test_voxels_of_the_same_width_change_nothing() -> None:
    volume = torch.rand(9, 8, 7, generator=generator("v"))
    torch.testing.assert_close(resolved(volume, volume.shape), volume)


def test_a_place_stays_where_it_is_in_wider_voxels() -> None:
    ramp = torch.arange(60.0).expand(60, 60)
    seen = resolved(ramp, (40, 40))
    middles = (torch.arange(40) + 0.5) * 1.5 - 0.5
    torch.testing.assert_close(seen[5, 3:-3], middles[3:-3], atol=1e-3, rtol=0)
