"""Overlapping cosine transforms, against scipy's and against their own inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from meddenoise.networks.lapped_transform import LappedTransform

CASES = [(2, 8, 2), (2, 4, 4), (3, 4, 2), (3, 6, 2)]


@pytest.mark.parametrize(("dims", "block", "cell"), CASES)
def test_the_coefficients_are_those_of_scipy(dims: int, block: int, cell: int) -> None:
    torch.manual_seed(0)
    transform = LappedTransform(dims, block, cell)
    image = torch.randn(1, 1, *[24] * dims)
    found = transform(image)
    assert found.shape == (1, block**dims, *[24 // cell] * dims)
    at = 4  # a block that lies inside
    start = at * cell - transform.pad
    part = image[(0, 0, *[slice(start, start + block)] * dims)]
    expected = dctn(part.numpy(), norm="ortho").ravel()
    np.testing.assert_allclose(found[(0, slice(None), *[at] * dims)], expected, atol=2e-5)


@pytest.mark.parametrize(("dims", "block", "cell"), CASES)
def test_unchanged_coefficients_give_the_image_back(dims: int, block: int, cell: int) -> None:
    torch.manual_seed(1)
    transform = LappedTransform(dims, block, cell)
    image = torch.randn(2, 1, *[12, 24, 36][:dims])
    coefficients = transform(image)
    weight = torch.rand(coefficients[:, :1].shape) + 0.1
    assert torch.allclose(transform.inverse(coefficients, weight), image, atol=1e-5)


def test_a_heavy_block_decides() -> None:
    transform = LappedTransform(2, 4, 2)
    coefficients = torch.zeros(1, 16, 6, 6)
    coefficients[0, 0, 3, 3] = 4.0  # a mean of 1 in one block
    weight = torch.full((1, 1, 6, 6), 1e-6)
    weight[0, 0, 3, 3] = 1.0
    image = transform.inverse(coefficients, weight)[0, 0]
    start = 3 * 2 - transform.pad
    assert torch.allclose(image[start : start + 4, start : start + 4], torch.ones(4, 4), atol=1e-4)
    assert float(image.sum()) == pytest.approx(16, rel=1e-4)


def test_rows_that_are_missing_are_noticed() -> None:
    transform = LappedTransform(2, 4, 2)
    cells = transform.prepared(torch.randn(1, 1, 8, 8))
    part = transform.of(cells, slice(0, 3))
    with pytest.raises(ValueError, match="3 rows of blocks came, and not 4"):
        transform.woven([(part, torch.ones(1, 3, 4, 1))], 4)
