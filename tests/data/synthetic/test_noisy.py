from __future__ import annotations

import pytest
import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.noisy import (
    KINDS,
    correlated,
    counted,
    stabilised,
    uneven,
    white,
)

SHAPE = (40, 40, 40)


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS])
@pytest.mark.parametrize("level", [3.0, 40.0])
def test_every_kind_has_unit_noise_around_its_target(kind, level: float) -> None:  # type: ignore[no-untyped-def]
    clean = torch.full(SHAPE, level)
    clean[:20] = 1.5 * level
    for seed in range(3):
        noisy, target = kind(clean, generator(seed))
        assert noisy.shape == target.shape == torch.Size(SHAPE)
        assert noisy.dtype == target.dtype == torch.float32
        noise = noisy - target
        assert float(noise.std()) == pytest.approx(1, abs=0.35)
        assert abs(float(noise.mean())) < 0.08


def test_shares_add_up() -> None:
    assert sum(share for _, share in KINDS) == pytest.approx(1)


def test_white_noise_is_white_and_correlated_noise_is_not() -> None:
    clean = torch.zeros(SHAPE)

    def next_voxel(noisy: torch.Tensor) -> float:
        return float((noisy[1:] * noisy[:-1]).mean() / noisy.square().mean())

    assert abs(next_voxel(white(clean, generator(0))[0])) < 0.02
    found = [next_voxel(correlated(clean, generator(seed))[0]) for seed in range(12)]
    assert max(found) > 0.1
    assert max(found) < 0.7  # mild


def test_uneven_noise_is_uneven() -> None:
    noise = uneven(torch.zeros(SHAPE), generator(3))[0]
    cells = noise.unfold(0, 10, 10).unfold(1, 10, 10).unfold(2, 10, 10).flatten(3).std(-1)
    assert float(cells.max() / cells.min()) > 1.2


def test_the_target_of_stabilised_noise_leads_back_to_the_clean_image() -> None:
    from meddenoise.noise import RicianStabilisation

    clean = torch.linspace(0, 10, 1000).view(10, 10, 10)
    target = stabilised(clean, generator(0))[1]
    back = RicianStabilisation(1.0).inverse(target.numpy())
    assert float(abs(back - clean.numpy()).max()) < 0.05


def test_photon_noise_grows_with_the_light() -> None:
    clean = torch.ones(SHAPE)
    clean[20:] = 20.0
    noise = counted(clean, generator(1))[0] - clean
    assert float(noise[20:].std()) > 1.3 * float(noise[:20].std())
