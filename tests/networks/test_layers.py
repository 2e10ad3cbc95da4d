from __future__ import annotations

import pytest
import torch

from meddenoise.networks.layers import crop_to, mirrored, pad_to_multiple


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (1, 2, 3), (5, 6, 8)])
def test_padding_mirrors_the_far_end_and_is_undone(size: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *size)
    multiples = (4, 3, 2)[: len(size)]
    padded = pad_to_multiple(x, multiples)
    assert all(
        n % m == 0 and n - s < m for n, s, m in zip(padded.shape[2:], size, multiples, strict=True)
    )
    assert torch.equal(crop_to(padded, size), x)
    for axis, (n, m) in enumerate(zip(size, multiples, strict=True), 2):
        for k in range(min(-n % m, n)):
            beyond = padded.select(axis, n + k), padded.select(axis, n - 1 - k)
            assert torch.equal(*beyond)


def test_nothing_to_pad_is_no_copy() -> None:
    x = torch.randn(1, 1, 4, 4)
    assert pad_to_multiple(x, (2, 4)) is x


@pytest.mark.parametrize("more", [0, 2, 3, 8])
def test_the_mirror_image_goes_on_as_long_as_is_asked_for(more: int) -> None:
    x = torch.tensor([[1.0, 2.0, 3.0]])
    there = [1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2]
    assert mirrored(x, 1, more).tolist() == [there[: 3 + more]]
