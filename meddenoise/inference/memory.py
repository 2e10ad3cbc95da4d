"""How much memory there is, and how much of it a network takes for a voxel."""

from __future__ import annotations

import math
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from meddenoise.free_memory import free_memory, is_out_of_memory
from meddenoise.inference.watch import Watch

__all__ = ["available_memory", "bytes_per_voxel", "is_out_of_memory"]

# oneDNN and cuDNN reorder what they are given into buffers of their own.
_BUFFERS = 1.25


def available_memory(device: torch.device | None = None) -> int:
    """Bytes that can still be had: of a GPU's memory, or by this process."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()


class _Peak(Watch):
    """Adds up the tensors that live at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._users: dict[int, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for made in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(made, Tensor):
                self._count(made)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if not self._users.get(key):
            self.now += size
            self.most = max(self.most, self.now)
        self._users[key] = self._users.get(key, 0) + 1
        weakref.finalize(tensor, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            self.now -= size


def bytes_per_voxel(network: nn.Module, dims: int, inputs: int = 1) -> float:
    """Memory of a forward pass without gradients, per voxel of its input.

    In float32, or in what :class:`torch.autocast` around the call says.

    The most that lives at once, counted in a pass over a small image of zeros. Weights do not
    count.
    """
    side = {2: 64, 3: 32}[dims]
    shape = [-(-side // m) * m for m in getattr(network, "multiple", (8,) * dims)]
    first = next(network.parameters(), torch.empty(0))
    x = torch.zeros(1, inputs, *shape, device=first.device)
    # Not in inference mode, in which a tensor that is changed in place is not told from its view.
    with torch.no_grad(), _Peak() as peak:
        network(x)
    return max(_BUFFERS * peak.most / math.prod(shape), 8.0)
