from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from meddenoise.networks.pooling import max_blur_pool, max_pool


@pytest.mark.parametrize(
    ("size", "step"), [((8, 6), (2, 2)), ((6, 6), (3, 1)), ((4, 6, 4), (2, 1, 2))]
)
def test_maximum_then_binomial_filter_then_fewer_voxels(
    size: tuple[int, ...], step: tuple[int, ...]
) -> None:
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    wide = np.pad(x[0, 0].numpy(), [(0, s) for s in step], mode="edge")
    largest = np.zeros(size)
    for place in np.ndindex(size):
        cell = tuple(slice(p, p + s) for p, s in zip(place, step, strict=True))
        largest[place] = wide[cell].max()
    largest = np.pad(largest, 1, mode="edge")
    expected = np.zeros([n // s for n, s in zip(size, step, strict=True)])
    taps = [[(-1, 0.25), (0, 0.5), (1, 0.25)] if s > 1 else [(0, 1.0)] for s in step]
    for place in np.ndindex(expected.shape):
        for taken in itertools.product(*taps):
            at = tuple(p * s + 1 + t for p, s, (t, _) in zip(place, step, taken, strict=True))
            expected[place] += np.prod([w for _, w in taken]) * largest[at]
    np.testing.assert_allclose(max_blur_pool(x, step)[0, 0].numpy(), expected)


def test_a_shift_moves_the_blurred_one_less() -> None:
    """What it is for: what is made of an image hardly depends on where the grid begins."""
    x = torch.randn(1, 8, 66, 66, generator=torch.Generator().manual_seed(0))

    def change(blurred: bool) -> float:
        pool = max_blur_pool if blurred else max_pool
        one, two = (pool(x[..., o : 64 + o, :64], (2, 2)) for o in (0, 1))
        return float((one - two)[..., 4:-4, 4:-4].square().mean() / one.var())

    assert change(True) < 0.5 * change(False)
