from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.inference.tiles import plan_tiles

PLANS: list[dict[str, Any]] = [
    {"shape": (64,), "halo": (6,), "multiple": (4,), "voxels": 40},
    {"shape": (96, 60), "halo": (7, 5), "multiple": (4, 2), "voxels": 2000},
    {"shape": (40, 64, 24), "halo": (5, 6, 3), "multiple": (4, 4, 2), "voxels": 20000},
    {"shape": (37, 41), "halo": (3, 3), "multiple": (1, 1), "voxels": 300},
    {"shape": (64, 64), "halo": (20, 20), "multiple": (8, 8), "voxels": 600},  # cannot be exact
    {"shape": (64, 64), "halo": (3, 3), "multiple": (4, 4), "tile": (30, 99)},
    {"shape": (64, 64), "halo": (9, 9), "multiple": (4, 4), "tile": (2, 16)},
    {"shape": (64, 64), "halo": (0, 0), "multiple": (1, 1), "voxels": 100, "overlap": 0.0},
    {"shape": (64, 64), "halo": (2, 2), "multiple": (1, 1), "voxels": 400, "overlap": 0.9},
]


@pytest.mark.parametrize("options", PLANS)
def test_tiles_lie_within_and_on_the_grid(options: dict[str, Any]) -> None:
    plan = plan_tiles(**options)
    assert len(list(plan)) == len(plan) > 1
    for where in plan:
        for part, size, multiple, tile in zip(
            where, plan.shape, options["multiple"], plan.tile, strict=True
        ):
            assert 0 <= part.start < part.stop <= size
            assert part.stop - part.start == tile
            assert part.start % multiple == 0
            assert tile % multiple == 0


@pytest.mark.parametrize("options", PLANS)
def test_weights_add_up_to_one_everywhere(options: dict[str, Any]) -> None:
    plan = plan_tiles(**options)
    total = torch.zeros(plan.shape)
    for where in plan:
        weights = plan.weights(where)
        assert weights.shape == plan.tile
        assert float(weights.min()) >= 0
        assert float(weights.max()) <= 1
        total[where] += weights
    assert torch.allclose(total, torch.ones(plan.shape), atol=1e-6)


@pytest.mark.parametrize("options", PLANS[:4])
def test_in_an_exact_plan_the_halo_at_an_inner_border_counts_for_nothing(
    options: dict[str, Any],
) -> None:
    plan = plan_tiles(**options)
    for where in plan:
        counted = plan.weights(where) > 0
        for axis, part in enumerate(where):
            halo = options["halo"][axis]
            if part.start > 0:
                assert not counted.narrow(axis, 0, halo).any()
            if part.stop < plan.shape[axis]:
                assert not counted.narrow(axis, plan.tile[axis] - halo, halo).any()


def test_tiles_are_no_deeper_than_is_allowed() -> None:
    plan = plan_tiles((64, 64, 64), halo=(3,) * 3, multiple=(4,) * 3, deepest=31)
    assert plan.tile == (64, 64, 28)
    plan = plan_tiles((64, 64), halo=(3, 3), multiple=(4, 4), tile=(64, 64), deepest=18)
    assert plan.tile == (64, 16)


def test_what_fits_is_one_tile() -> None:
    plan = plan_tiles((32, 40, 24), halo=(20,) * 3, multiple=(8,) * 3)
    assert list(plan) == [(slice(0, 32), slice(0, 40), slice(0, 24))]
    assert plan.work == 1


@pytest.mark.parametrize("voxels", [500, 5000, 10**5])
def test_tiles_keep_to_the_memory_that_is_allowed(voxels: int) -> None:
    plan = plan_tiles((96, 96, 64), halo=(3,) * 3, multiple=(2,) * 3, voxels=voxels)
    assert math.prod(plan.tile) <= voxels


def test_the_work_is_little_where_memory_allows() -> None:
    # The embedded head and the default network.
    plan = plan_tiles((128, 160, 128), halo=(23,) * 3, multiple=(4,) * 3)
    assert plan.work <= 1.31
    # A large CT.
    plan = plan_tiles((512, 512, 400), halo=(23,) * 3, multiple=(4,) * 3)
    assert plan.work <= 4.0


def test_a_view_too_wide_for_the_memory_costs_no_multiple_of_the_work() -> None:
    plan = plan_tiles((256, 256, 256), halo=(100,) * 3, multiple=(16,) * 3)
    assert plan.work <= 3.0
    assert min(plan.tile) >= 100


def test_planning_a_huge_volume_is_quick_work() -> None:
    plan = plan_tiles((2048, 2048, 1024), halo=(17,) * 3, multiple=(1,) * 3)
    assert math.prod(plan.tile) <= 2**21


@pytest.mark.parametrize(
    ("size", "tile"), [*itertools.product((8, 12, 16, 100), (4, 8, 9, 16, 200))]
)
def test_a_wanted_tile_is_rounded_down_to_the_grid(size: int, tile: int) -> None:
    plan = plan_tiles((size,), halo=(1,), multiple=(4,), tile=(tile,))
    assert plan.tile == (min(tile // 4 * 4, size),)


def test_a_shape_off_the_grid_is_refused() -> None:
    with pytest.raises(ParameterError, match="no multiple"):
        plan_tiles((10,), halo=(1,), multiple=(4,))
