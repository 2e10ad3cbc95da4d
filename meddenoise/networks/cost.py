"""What a network costs: arithmetic per voxel, and voxels per second on this machine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import nn

from meddenoise.devices import choose_device, fast_layout

__all__ = ["Speed", "flops_per_voxel", "measure_speed"]

# Voxels along each axis of the image that operations are counted on, or more.
_SIDE = 64
# Seconds that one timed pass should take, and at most so many voxels along each axis.
_SECONDS = 0.7
_LARGEST = {2: 1024, 3: 96}
_FIRST = {2: 64, 3: 16}


@dataclass(frozen=True)
class Speed:
    """How fast a network is.

    Attributes:
        mvoxel_per_second: millions of voxels, without reading, tiles and normalisation.
        shape: of the image.
        device: where.
        threads: of a CPU.
    """

    mvoxel_per_second: float
    shape: tuple[int, ...]
    device: str
    threads: int


def flops_per_voxel(network: nn.Module, dims: int, inputs: int = 1) -> float:
    """Floating-point operations of convolutions and matrix products, two for a multiply-add.

    Counted by torch on an image of 64 voxels along each axis (or as many more as its grid needs),
    of which nothing is computed.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    shape = _shape(network, dims, _SIDE)
    with (
        torch.no_grad(),
        FakeTensorMode(allow_non_fake_inputs=True),
        FlopCounterMode(display=False) as counter,
    ):
        network(torch.empty(1, inputs, *shape))
    return counter.get_total_flops() / math.prod(shape)


def measure_speed(
    network: nn.Module, dims: int, inputs: int = 1, device: str | torch.device = "auto"
) -> Speed:
    """The best of three passes in float32 over an image that takes some tenths of a second.

    Args:
        network: moved to the device, in the layout that is fast there.
        dims: 2 or 3.
        inputs: channels of its input.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    """
    where = choose_device(device)
    network = fast_layout(network.to(where).eval(), dims)

    def seconds(shape: tuple[int, ...]) -> float:
        x = torch.randn(1, inputs, *shape, device=where)
        began = time.perf_counter()
        network(x)
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        return time.perf_counter() - began

    with torch.inference_mode():
        small = _shape(network, dims, _FIRST[dims])
        seconds(small)  # prepares what is prepared once
        rate = math.prod(small) / seconds(small)
        side = int(min((rate * _SECONDS) ** (1 / dims), _LARGEST[dims]))
        shape = _shape(network, dims, max(side, _FIRST[dims]))
        best = min(seconds(shape) for _ in range(3))
    return Speed(math.prod(shape) / best / 1e6, shape, str(where), torch.get_num_threads())


def _shape(network: nn.Module, dims: int, side: int) -> tuple[int, ...]:
    """So many voxels along each axis, or a few more, so that none is padding."""
    multiples = getattr(network, "multiple", (1,) * dims)
    return tuple(-(-side // m) * m for m in multiples)
