from __future__ import annotations

import numpy as np
import pytest

from meddenoise.filters.itk import by_itk, unit_for_itk


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_unit_follows_the_range(scale: float) -> None:
    image = np.linspace(0, 1000 * scale, 4096, dtype=np.float32).reshape(16, 16, 16)
    unit = unit_for_itk(image)
    assert 1000 < np.ptp(image) / unit < 4000
    assert np.log2(unit) == round(np.log2(unit))  # divided by without rounding
    image[3, 4, 5] = 1e20 * scale  # one voxel that stands out
    assert unit_for_itk(image) == unit


def test_what_has_hardly_a_range() -> None:
    assert unit_for_itk(np.full((4, 4), 7.0)) == 1
    image = np.zeros((20, 20, 20), np.float32)
    image[10, 10, 10] = 1e-6
    assert 1000 < 1e-6 / unit_for_itk(image) < 4000


def test_intensities_come_back_from_their_unit() -> None:
    image = np.random.default_rng(0).normal(0, 1e-6, (6, 5, 4)).astype(np.float32)
    found = by_itk(lambda given: given, image, (1, 1, 2), unit=2.0**-30)
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    ("words", "kind"),
    [("Failed to allocate memory for image.", MemoryError), ("Bad sizes.", RuntimeError)],
)
def test_what_does_not_fit_into_memory_is_told_as_such(words: str, kind: type[Exception]) -> None:
    def failing(image: object) -> object:
        raise RuntimeError(f"Exception thrown in SimpleITK Bilateral: {words}")

    with pytest.raises(kind, match=words):
        by_itk(failing, np.zeros((6, 5, 4), np.float32), (1, 1, 1))
