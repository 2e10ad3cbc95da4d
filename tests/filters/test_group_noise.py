from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.filters.blocks import Blocks, haar_matrix
from meddenoise.filters.group_noise import GroupNoise

BLOCKS = Blocks((4, 4, 4), (3, 3, 3), (3, 3, 3))
SIZE = (100, 96, 48)
# Of noise that is the mean of neighbours with weights of 1, 2, 1 along two axes.
ALONG = [(2 / 3, 1 / 6, 0.0), (2 / 3, 1 / 6), ()]


@pytest.fixture(scope="module")
def coefficients() -> torch.Tensor:
    """Of such noise, ``(X, Y, Z, voxels)``."""
    noise = np.random.default_rng(0).standard_normal(SIZE)
    for axis in (0, 1):
        noise = noise + (np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 2
    scaled = torch.from_numpy((noise / 1.5).astype(np.float32))
    return BLOCKS.analyse(scaled).view(*SIZE, 64)


def test_each_coefficient_has_its_share(coefficients: torch.Tensor) -> None:
    expected = GroupNoise.of(BLOCKS, ALONG).each
    found = coefficients[:-3, :-3, :-3].square().mean((0, 1, 2))
    assert torch.allclose(found, expected, rtol=0.1, atol=0.02)
    assert float(expected.max()) > 2
    assert float(expected.min()) < 0.1
    assert float(expected.sum()) == pytest.approx(64, rel=1e-3)


def test_what_blocks_have_in_common_holds_more(coefficients: torch.Tensor) -> None:
    """Groups of the same form all over the image."""
    form = torch.tensor([[0, 0, 0], [1, 0, 0], [0, -2, 1], [3, 3, -3]])
    corners = torch.cartesian_prod(*(torch.arange(4, n - 8, 2) for n in SIZE))
    where = corners[:, None] + form
    places = (where[..., 0] * SIZE[1] + where[..., 1]) * SIZE[2] + where[..., 2]
    mean, rest = GroupNoise.of(BLOCKS, ALONG).variances(places[:5], SIZE).unbind(1)
    assert torch.equal(mean, mean[:1].expand_as(mean))
    groups = torch.matmul(haar_matrix(4), coefficients.reshape(-1, 64)[places])
    found = groups.square().mean(0)
    assert torch.allclose(found[0], mean[0], rtol=0.1, atol=0.02)
    assert torch.allclose(found[1:].mean(0), rest[0], rtol=0.1, atol=0.02)
    assert float(mean[0, 0]) > 1.5 * float(rest[0, 0])


@pytest.mark.parametrize("along", [[(), (), ()], [(0.0, 0.0), (0.0,), ()]])
def test_white_noise_is_the_same_everywhere(along: list[tuple[float, ...]]) -> None:
    noise = GroupNoise.of(BLOCKS, along)
    assert noise.white
    assert torch.allclose(
        noise.variances(torch.zeros(3, 8, dtype=torch.int64), SIZE), torch.ones(1)
    )


def test_a_correlation_that_is_that_of_no_noise_is_cut() -> None:
    noise = GroupNoise.of(BLOCKS, [(0.9, 0.0, 0.0), (0.8, -0.5, 0.4), ()])
    places = torch.arange(32).view(2, 16)
    assert float(noise.each.min()) > 0
    assert float(noise.variances(places, SIZE).min()) > 0
    assert noise.variances(places[:, :1], SIZE).shape == (1, 1, 64)
