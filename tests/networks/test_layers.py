from __future__ import annotations

import pytest
import torch

from meddenoise.networks.layers import crop_to, pad_to_multiple


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (1, 2, 3), (5, 6, 8)])
def test_padding_repeats_the_far_end_and_is_undone(size: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *size)
    multiples = (4, 3, 2)[: len(size)]
    padded = pad_to_multiple(x, multiples)
    assert all(
        n % m == 0 and n - s < m for n, s, m in zip(padded.shape[2:], size, multiples, strict=True)
    )
    assert torch.equal(crop_to(padded, size), x)
    corner = (slice(None), slice(None), *(-1 for _ in size))
    assert torch.equal(padded[corner], x[corner])


def test_nothing_to_pad_is_no_copy() -> None:
    x = torch.randn(1, 1, 4, 4)
    assert pad_to_multiple(x, (2, 4)) is x
