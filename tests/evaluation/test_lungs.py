from __future__ import annotations

import numpy as np
import pytest

from meddenoise.evaluation.lungs import lungs


def chest(*, thick: int) -> dict[str, np.ndarray]:
    """A body with two lungs on a foam mattress in air, and a table with foam in a shell."""
    x, y = np.meshgrid(np.arange(100), np.arange(100), indexing="ij")
    parts = {
        "body": np.hypot((x - 50) / 1.5, y - 60) < 27,
        "lung": (np.hypot(x - 34, y - 60) < 14) | (np.hypot(x - 66, y - 60) < 14),
        "mattress": (abs(x - 50) < 45) & (abs(y - 30) < 7),
        "shell": (abs(x - 50) < 45) & (abs(y - 12) < 8),
        "core": (abs(x - 50) < 43) & (abs(y - 12) < 6),
    }
    return {name: np.repeat(part[..., None], thick, axis=2) for name, part in parts.items()}


def hu(parts: dict[str, np.ndarray]) -> np.ndarray:
    values = np.full(parts["body"].shape, -1000.0)
    for name, value in (("mattress", -900), ("shell", 50), ("core", -900), ("body", 40),
                        ("lung", -850)):  # fmt: skip
        values[parts[name]] = value
    return values


@pytest.mark.parametrize("dims", [2, 3])
def test_foam_is_no_lung(dims: int) -> None:
    parts = chest(thick=8)
    values, lung = hu(parts), parts["lung"]
    if dims == 2:
        values, lung = values[..., 4], lung[..., 4]
    np.testing.assert_array_equal(lungs(values), lung)


def test_a_bowel_full_of_air_is_none_and_a_lung_with_some_is_one() -> None:
    parts = chest(thick=8)
    values = hu(parts)
    values[30:38, 56:64] = -1000  # emphysema in one of them
    np.testing.assert_array_equal(lungs(values), parts["lung"])
    values[parts["lung"]] = -1000
    assert not lungs(values).any()


def test_a_lung_that_is_cut_by_the_image_s_border() -> None:
    parts = chest(thick=8)
    values, lung = hu(parts)[34:66, 50:70], parts["lung"][34:66, 50:70]
    np.testing.assert_array_equal(lungs(values), lung)


@pytest.mark.parametrize("value", [-1000.0, 40.0, -700.0])
def test_nothing_to_find(value: float) -> None:
    assert not lungs(np.full((30, 30, 10), value)).any()
