from __future__ import annotations

import pytest

from meddenoise.training.corrector import passing


@pytest.mark.parametrize(("one", "kept"), [(0.1, (True, 0.8)), (1.0, (False, 1.0))])
def test_mirror_images_where_there_is_time_for_them(one: float, kept: tuple[bool, float]) -> None:
    assert passing(one, mirrored=8, left=10.0) == kept
