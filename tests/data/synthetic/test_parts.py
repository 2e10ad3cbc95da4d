"""Ribbons, tubes, shells, trabeculae: each a stack of layers; leaves, mosaics, textures: fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.layers import Layer, cover
from meddenoise.data.synthetic.leaves import leaves
from meddenoise.data.synthetic.mosaic import mosaic
from meddenoise.data.synthetic.ribbons import ribbons
from meddenoise.data.synthetic.shells import shells
from meddenoise.data.synthetic.textures import texture
from meddenoise.data.synthetic.trabeculae import trabeculae
from meddenoise.data.synthetic.tubes import tubes

PARTS = [ribbons, tubes, shells, trabeculae]
FIELDS = [leaves, mosaic, texture]
SHAPES = [(48, 40), (32, 28, 36)]


@pytest.mark.parametrize("make", PARTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_part_covers_shares_of_voxels(
    make: Callable[..., list[Layer]], shape: Sequence[int]
) -> None:
    some = 0.0
    for seed in range(8):
        layers = make(shape, generator(seed), kin=10)
        assert layers
        for layer in layers:
            assert layer.cover.shape == torch.Size(shape)
            assert bool(torch.isfinite(layer.cover).all())
            assert float(layer.cover.min()) >= 0
            assert float(layer.cover.max()) <= 1
            assert 10 <= layer.kin < 20
            some = max(some, float(layer.cover.mean()))
    assert some > 0.01  # not all are empty


@pytest.mark.parametrize("make", PARTS)
def test_a_part_is_a_function_of_the_seed(make: Callable[..., list[Layer]]) -> None:
    one, same, other = (make((24, 24, 24), generator(seed), kin=0) for seed in (1, 1, 2))
    assert all(torch.equal(a.cover, b.cover) for a, b in zip(one, same, strict=True))
    assert len(one) != len(other) or not torch.equal(one[0].cover, other[0].cover)


@pytest.mark.parametrize("make", FIELDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_field_is_standard(make: Callable[..., Tensor], shape: Sequence[int]) -> None:
    for seed in range(6):
        field = make(shape, generator(seed))
        assert field.shape == torch.Size(shape)
        assert float(field.mean()) == pytest.approx(0, abs=1e-3)
        assert float(field.std()) == pytest.approx(1, abs=1e-2)
        assert torch.equal(field, make(shape, generator(seed)))


def test_an_edge_is_a_voxel_wide_and_a_soft_one_wider() -> None:
    depth = torch.arange(-5.0, 6.0)
    assert cover(depth).tolist() == [0] * 5 + [0.5] + [1] * 5
    assert 0 < float(cover(torch.tensor([-1.0]), 4.0)) < 0.5


def test_the_core_of_a_ribbon_lies_within_it() -> None:
    for seed in range(5):
        layers = ribbons((32, 32, 32), generator(seed), kin=0)
        outer, cores = layers[0].cover, [layer.cover for layer in layers[1:] if layer.pattern > 0]
        assert all(bool((core <= outer + 1e-6).all()) for core in cores)


def test_small_leaves_lie_on_large_ones() -> None:
    """Edges are everywhere: hardly a row of the picture is flat."""
    image = leaves((64, 64), generator("leaves"), count=60)
    steps = (image[:, 1:] - image[:, :-1]).abs() > 0.2
    assert float(steps.any(1).float().mean()) > 0.9
    assert float(steps.float().mean()) < 0.5  # but between edges it is
