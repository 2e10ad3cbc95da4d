from __future__ import annotations

import pytest
import torch

from meddenoise.inference.layers import continued
from meddenoise.inference.tiles import plan_tiles
from meddenoise.networks.layers import pad_to_multiple


@pytest.mark.parametrize("part", [1, 4, 100])
@pytest.mark.parametrize("shape", [(5, 6, 7), (8, 8, 2), (3, 4, 17), (8, 8, 8)])
def test_a_scan_goes_on_as_its_mirror_image(shape: tuple[int, ...], part: int) -> None:
    planes = torch.randn(shape[2], 2, *shape[:2])
    plan = plan_tiles([-(-n // 8) * 8 for n in shape], halo=(2, 2, 2), multiple=(8, 8, 8))
    found = torch.cat([*continued(iter(planes.split(part)), plan, shape[2])])
    whole = pad_to_multiple(planes.permute(1, 2, 3, 0)[None], (8, 8, 8))
    assert torch.equal(found, whole[0].permute(3, 0, 1, 2))


def test_planes_go_on_each_for_itself() -> None:
    planes = torch.randn(5, 1, 7, 9)
    plan = plan_tiles([8, 12], halo=(1, 1), multiple=(4, 4))
    found = torch.cat([*continued(iter(planes.split(2)), plan, 5)])
    assert torch.equal(found, pad_to_multiple(planes, (4, 4)))
