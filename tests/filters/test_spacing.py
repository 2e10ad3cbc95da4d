from __future__ import annotations

import pytest

from meddenoise.filters.spacing import box_sizes, relative_spacing, slice_axis


def test_boxes_do_not_reach_across_thick_slices() -> None:
    assert box_sizes(5, (1, 1.5, 1)) == [5, 5, 5]
    assert box_sizes(3, (0.5, 0.5, 3)) == [3, 3, 1]
    assert box_sizes(3, (4, 0.9)) == [1, 3]


def test_in_finest_voxels() -> None:
    assert relative_spacing((0.5, 1, 0.75)) == pytest.approx([1, 2, 1.5])


def test_the_axis_across_slices() -> None:
    assert slice_axis((1, 1, 2)) is None
    assert slice_axis((1, 1, 2.1)) == 2
    assert slice_axis((5, 0.9, 0.9)) == 0
    assert slice_axis((5, 0.9)) is None
