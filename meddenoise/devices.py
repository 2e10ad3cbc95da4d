"""Which device to compute on, and the memory layout that is fast there."""

from __future__ import annotations

import torch
from torch import nn

from meddenoise.errors import ParameterError

__all__ = ["choose_device", "fast_layout", "has_fast_bf16"]


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ParameterError: no such device here.
    """
    if isinstance(name, torch.device):
        return name
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ParameterError(f"There is no device '{name}' here: use auto, cpu or cuda.") from None
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively, and not by way of float32.

    Of CPUs those with AVX-512 BF16 or AMX: there a training step takes about half the time of
    float32 (``benchmarks/throughput.py``). A torch too old to tell counts as no.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def fast_layout(network: nn.Module, dims: int) -> nn.Module:
    """The network with its weights channels-last on a CPU.

    oneDNN runs 3-D convolutions with few channels faster in that layout; a whole training step
    gains some tenths, a 2-D one little (``benchmarks/throughput.py``).
    """
    device = next(network.parameters(), torch.empty(0)).device
    if device.type != "cpu":
        return network
    layout = torch.channels_last if dims == 2 else torch.channels_last_3d
    # Modules cast only 4-D (or 5-D) parameters; the others stay as they are.
    for parameter in network.parameters():
        if parameter.ndim == dims + 2:
            # Not contiguous(): it leaves the strides of a first layer with one input channel, whose
            # output would then be in the other layout.
            laid = torch.empty_like(parameter.data, memory_format=layout)
            parameter.data = laid.copy_(parameter.data)
    return network
