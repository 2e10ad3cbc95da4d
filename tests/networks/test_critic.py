from __future__ import annotations

import pytest
import torch

from meddenoise.networks.critic import PatchCritic


@pytest.mark.parametrize("size", [(1, 1), (9, 12), (5, 16, 7)])
@pytest.mark.parametrize("spectral", [False, True])
def test_a_score_a_patch_of_any_size(size: tuple[int, ...], spectral: bool) -> None:
    critic = PatchCritic(len(size), 4, spectral=spectral)
    x = torch.randn(3, 1, *size)
    assert critic(x).shape == (3,)
    assert critic.scores(x).shape == (3, 1, *(-(-n // 8) for n in size))
    torch.testing.assert_close(critic.eval()(x)[1:2], critic(x[1:2]))


def test_a_score_sees_31_voxels() -> None:
    critic = PatchCritic(2, 4).double()
    x = torch.randn(1, 1, 128, 128, dtype=torch.float64)
    x.requires_grad_(True)
    (slope,) = torch.autograd.grad(critic.scores(x)[0, 0, 8, 8], x)
    seen = slope[0, 0].abs().sum(0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == 31


def test_the_spectral_norm_bounds_the_gain_of_each_layer() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(2, 8, spectral=True)
    for _ in range(50):
        critic(torch.randn(1, 1, 16, 16))  # the power iteration goes on in training
    for layer in critic.layers[::2]:
        gain = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert float(gain.detach()) == pytest.approx(1.0, abs=1e-2)
