from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.inference.rolling import RollingMean


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize(("depth", "width"), [(40, 1.5), (9, 4.07), (2, 2.0), (1, 3.0)])
@pytest.mark.parametrize("step", [1, 3, 50])
def test_it_is_the_gaussian_of_the_whole(
    pool: ThreadPoolExecutor, depth: int, width: float, step: int
) -> None:
    image = np.random.default_rng(0).normal(size=(depth, 12, 9)).astype(np.float32)
    rolling = RollingMean(width, depth, pool)
    found: list[np.ndarray] = []
    for first in range(0, depth, step):
        found += rolling.feed((plane, None) for plane in image[first : first + step])
    assert len(found) >= depth - int(4 * width + 0.5)
    found += rolling.end()
    widths = [width if depth > 1 else 0, width, width]
    assert np.allclose(np.stack(found), gaussian_filter(image, widths, mode="mirror"), atol=1e-5)


def test_what_was_not_measured_has_no_weight(pool: ThreadPoolExecutor) -> None:
    image = np.random.default_rng(0).normal(5, 1, size=(20, 12, 9)).astype(np.float32)
    mask = np.random.default_rng(1).random(image.shape) > 0.3
    mask[:4] = True  # planes without a hole beside planes with some
    rolling = RollingMean(1.5, len(image), pool)
    given = [(np.where(m, p, 0), None if m.all() else m) for p, m in zip(image, mask, strict=True)]
    found = np.stack([*rolling.feed(given), *rolling.end()])
    weight = gaussian_filter(mask.astype(np.float32), 1.5, mode="mirror")
    expected = gaussian_filter(np.where(mask, image, 0), 1.5, mode="mirror") / weight
    assert np.allclose(found, expected, atol=1e-4)


def test_it_keeps_only_what_it_still_sees(pool: ThreadPoolExecutor) -> None:
    rolling = RollingMean(1.0, 200, pool)
    for _ in range(200):
        assert len(list(rolling.feed([(np.zeros((4, 4), np.float32), None)]))) <= 1
        assert len(rolling._planes) <= 2 * 4 + 2
