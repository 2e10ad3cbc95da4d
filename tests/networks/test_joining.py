from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from meddenoise.networks import joining
from meddenoise.networks.joining import grown, grown_beside


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("step", [(2, 2), (2, 1, 3), (2, 2, 2)])
def test_repeated_voxels_and_then_the_skip_s(
    step: tuple[int, ...],
    kind: torch.dtype,
    last: bool,
    learning: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coarse = (3, 4, 2)[: len(step)]
    y = torch.randn(2, 3, *coarse).to(kind)
    skip = torch.randn(2, 5, *(n * s for n, s in zip(coarse, step, strict=True))).to(kind)
    if last:
        y, skip = (t.movedim(1, -1).contiguous().movedim(-1, 1) for t in (y, skip))
    expected = y
    for axis, s in enumerate(step, start=2):
        expected = expected.repeat_interleave(s, axis)
    repeated = []
    monkeypatch.setattr(joining, "grown", lambda *given: repeated.append(1) or grown(*given))
    with nullcontext() if learning else torch.no_grad():
        found = grown_beside(y, step, skip)
        assert torch.equal(grown(y, step), expected)
    assert bool(repeated) == (learning or not last)
    assert torch.equal(found, torch.cat([expected, skip], dim=1))


def test_it_can_be_learned_through() -> None:
    y, skip = torch.randn(1, 2, 3, 3, requires_grad=True), torch.randn(1, 2, 6, 6)
    grown_beside(y, (2, 2), skip).sum().backward()
    assert y.grad is not None
    assert torch.equal(y.grad, torch.full_like(y, 4))
