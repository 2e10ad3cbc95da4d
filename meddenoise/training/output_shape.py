"""Whether a network gives images of the shape that it gets."""

from __future__ import annotations

from torch import Tensor, nn

from meddenoise.errors import ModelError

__all__ = ["check_shape_once"]


def check_shape_once(network: nn.Module) -> None:
    """On the network's first call: a loss over other shapes would be broadcast in silence.

    The call raises ModelError unless ``(B, C, *spatial)`` gives ``(B, 1, *spatial)``.
    """

    def check(module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        handle.remove()
        x = given[0]
        if result.shape != (len(x), 1, *x.shape[2:]):
            raise ModelError(
                f"{type(module).__name__} gives shape {tuple(result.shape)} for an input of "
                f"{tuple(x.shape)}: a network must keep the shape, and give one channel."
            )

    handle = network.register_forward_hook(check)
