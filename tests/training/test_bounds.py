from __future__ import annotations

import pytest
import torch

from meddenoise.training.bounds import Bounds


@pytest.mark.parametrize("shape", [(40, 44), (28, 30, 32)])
def test_a_correction_keeps_the_local_mean(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    filtered = torch.rand(1, 1, *shape, generator=generator)
    # A step that is wider than the window, and something fine.
    output = filtered + 0.3 + 0.1 * torch.randn(1, 1, *shape, generator=generator)
    output[:, :, : shape[0] // 2] += 0.5
    kept = Bounds(-float("inf"), 1.0).keep(filtered, output) - filtered
    assert abs(kept.mean().item()) < 0.02
    # Away from the step the shift is gone and what is fine has stayed.
    far = kept[:, :, : shape[0] // 2 - 5]
    assert abs(far.mean().item()) < 0.02
    assert far.std().item() == pytest.approx(0.1, rel=0.1)


def test_below_the_floor_nothing_is_corrected() -> None:
    filtered = torch.linspace(0, 4, 400).view(1, 1, 20, 20)
    output = filtered + 0.1 * torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    whole = Bounds(-float("inf"), 1.0).keep(filtered, output) - filtered
    kept = Bounds(2.0, 1.0).keep(filtered, output) - filtered
    dark, bright = filtered < 2, filtered > 3
    assert (kept[dark] == 0).all()
    torch.testing.assert_close(kept[bright], whole[bright])
    between = ~dark & ~bright
    assert (kept[between].abs() <= whole[between].abs() + 1e-6).all()
