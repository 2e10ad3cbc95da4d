from __future__ import annotations

import pytest
import torch

from meddenoise.networks import build_network
from meddenoise.networks.cost import flops_per_voxel, measure_speed


def test_operations_by_hand() -> None:
    # One level: 3 x 3 convolutions 1 to 4 and 4 to 4, and 1 x 1 to the output.
    network = build_network("unet", dims=2, channels=[4])
    assert flops_per_voxel(network, 2) == 2 * (9 * 4 + 9 * 16 + 4)
    noisy = build_network("unet", dims=2, inputs=2, channels=[4])
    assert flops_per_voxel(noisy, 2, inputs=2) == 2 * (9 * 8 + 9 * 16 + 4)


@pytest.mark.parametrize("width", [6, 8])
def test_on_a_coarse_grid_a_convolution_costs_an_eighth(width: int) -> None:
    network = build_network("light", dims=3, channels=[width])
    assert flops_per_voxel(network, 3) == 2 * (27 * 8 * width + 27 * width**2 + 8 * width) / 8


def test_a_grid_that_does_not_divide_64_is_counted_without_padding() -> None:
    network = build_network("light", dims=2, channels=[4], cell=3)
    assert flops_per_voxel(network, 2) == 2 * (9 * 9 * 4 + 9 * 16 + 9 * 4) / 9


def test_counting_computes_nothing_and_leaves_the_weights() -> None:
    network = build_network("dncnn", dims=2, depth=3, width=4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    flops_per_voxel(network, 2)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network(torch.zeros(1, 1, 5, 5)).shape == (1, 1, 5, 5)


def test_a_wider_network_is_slower() -> None:
    small, large = (build_network("dncnn", dims=2, depth=3, width=w) for w in (2, 64))
    one, two = (measure_speed(network, 2, device="cpu") for network in (small, large))
    assert one.mvoxel_per_second > two.mvoxel_per_second > 0
    assert one.device == "cpu"
    assert one.threads == torch.get_num_threads()
    assert len(two.shape) == 2
