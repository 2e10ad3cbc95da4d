"""3-D convolutions whose gradients are wrong in bf16 are computed in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

__all__ = ["exact_gradients"]


@contextmanager
def exact_gradients(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Within it, autocast leaves such convolutions of the network alone, on a CPU.

    In bf16 torch 2.13 on CPUs (oneDNN) makes the gradient of a 3-D convolution's weights out of
    memory that nobody wrote if the first axis is no longer than its padding at both ends: 2 voxels
    under a kernel of 3, as at the bottom of a U-Net whose patch is thin. Sometimes that is no
    number, and always it is wrong.

    Args:
        network: its modules get hooks, which are gone at the end.
        device: where it is; elsewhere than on a CPU nothing is done.
    """
    handles = []
    if device.type == "cpu":
        entered: list[ExitStack] = []

        def before(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            stack = ExitStack()
            entered.append(stack)
            if not _is_short(module, given[0]):
                return None
            stack.enter_context(torch.autocast("cpu", enabled=False))
            # What the layers before it gave in half precision, back in the weights' own.
            weight = module.weight
            assert isinstance(weight, Tensor)
            return (given[0].to(weight.dtype), *given[1:])

        def after(module: nn.Module, given: object, result: object) -> None:
            entered.pop().close()

        for module in network.modules():
            if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
                handles.append(module.register_forward_pre_hook(before))
                handles.append(module.register_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_short(module: nn.Module, x: Tensor) -> bool:
    padding = module.padding
    # "same" pads kernel - 1 in all, "valid" nothing.
    if isinstance(padding, str):
        both = module.kernel_size[0] - 1 if padding == "same" else 0  # type: ignore[index]
    else:
        both = 2 * padding[0]  # type: ignore[index]
    return bool(x.shape[2] <= both)
