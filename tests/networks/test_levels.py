from __future__ import annotations

import pytest

from meddenoise.errors import ConfigError
from meddenoise.networks.levels import multiple_of, reach_of, steps_between


def test_steps_by_default_and_as_given() -> None:
    assert steps_between("A net", 3, (4, 8, 16), None) == [(2, 2, 2), (2, 2, 2)]
    assert steps_between("A net", 2, (4, 8, 16), [3, [2, 1]]) == [(3, 3), (2, 1)]
    assert steps_between("A net", 2, (4,), None) == []


def test_the_multiple_is_the_coarsest_cell() -> None:
    assert multiple_of(3, [(2, 2, 1), (2, 3, 1)]) == (4, 6, 1)
    assert multiple_of(2, []) == (1, 1)


def test_reach_by_hand() -> None:
    # Two convolutions of one voxel's reach on the grid, and one on a grid half as fine, whose
    # cells reach one voxel across.
    assert reach_of(1, [(2,)], [2, 1]) == (2 + 1 + 2,)
    assert reach_of(1, [(2,)], [2, 1], blurred=True) == (2 + 2 + 2,)
    assert reach_of(2, [(2, 1)], [2, 1], blurred=True) == (6, 3)


def test_messages_name_the_network() -> None:
    with pytest.raises(ConfigError, match="A net needs a positive number of channels"):
        steps_between("A net", 2, (4, 0), None)
    with pytest.raises(ConfigError, match="A net of 2 levels and 2 axes needs 1 strides"):
        steps_between("A net", 2, (4, 4), [2, 2])
    with pytest.raises(ConfigError, match="a multiple of 10000000000 voxels: give smaller"):
        steps_between("A net", 2, (4, 4, 4), [[10**5, 1], 10**5])
    assert len(steps_between("A net", 2, (4,) * 11, None)) == 10
