"""A network as it is run: the same function with fewer passes over its voxels.

- A batch norm that directly follows a convolution becomes part of it, in any network, however it
  is put together: which layer feeds which is seen in a pass over a small image.
- A ReLU whose input nothing else looks at works in place, or on a CPU within the convolution that
  gives it.
- A maximum over voxels is taken in the precision that they come in; autocast would widen them.
- A 3-D convolution of kernel 1 on a CPU is a matrix product over the channels, which lie side by
  side there. torch makes a copy of the input for it in that layout and took 10 to 40 times as long.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from meddenoise.inference.fused import (
    ACTIVATIONS,
    CONVOLUTIONS,
    FusedConv,
    TakenIn,
    can_fuse,
    is_stock,
)
from meddenoise.inference.watch import Watch
from meddenoise.networks.layers import without_autocast

__all__ = ["Pointwise", "quickened"]

_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = (nn.MaxPool2d, nn.MaxPool3d)


def quickened(network: nn.Module, dims: int, inputs: int = 1) -> nn.Module:
    """The same function, in evaluation, of a copy that shares the weights it does not change.

    Args:
        network: maps ``(N, inputs, *spatial)`` to ``(N, 1, *spatial)``; in evaluation mode.
        dims: 2 or 3.
        inputs: channels that it gets.

    Returns:
        For inference only: its weights have other names than the network's.
    """
    kept = {id(t): t for t in (*network.parameters(), *network.buffers())}
    quick = copy.deepcopy(network, kept)
    if any(isinstance(module, (*_NORMS, *ACTIVATIONS)) for module in quick.modules()):
        flow = _Flow.of(quick, dims, inputs)
        if flow is not None:
            # Before modules are replaced: it knows those that there are.
            makers = {m: flow.makers(m) for m in quick.modules() if isinstance(m, ACTIVATIONS)}
            changed = _folded(quick, flow)
            for activation, convolutions in makers.items():
                after = [changed.get(layer, layer) for layer in convolutions]
                if after and all(map(can_fuse, after)):
                    fused = [FusedConv(layer, activation) for layer in after]
                    changed |= dict(zip(convolutions, fused, strict=True))
                    changed[activation] = TakenIn(activation)
                elif flow.alone(activation):
                    cast("nn.ReLU", activation).inplace = True
            _replace(quick, changed)
    _replace(quick, {m: _AsItComes(m) for m in quick.modules() if isinstance(m, _POOLS)})
    if dims == 3 and next(iter(quick.parameters()), torch.empty(0)).device.type == "cpu":
        _replace(quick, {m: Pointwise(m) for m in quick.modules() if _is_pointwise(m)})
    return quick


@dataclass(frozen=True, eq=False)
class _Call:
    """What a layer was given, by which layer that was made, if by one, and whether it is the first
    to look at it."""

    given: Tensor
    maker: nn.Module | None
    first: bool


class _Flow(Watch):
    """Who made which tensor and who looked at it, in one pass.

    Tensors are kept until the end, so that no two have the same identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Tensor] = []
        self._looks: Counter[int] = Counter()
        self._made_by: dict[int, nn.Module] = {}
        self._views: set[int] = set()
        self._first = False
        self.calls: dict[nn.Module, list[_Call]] = {}

    @classmethod
    def of(cls, network: nn.Module, dims: int, inputs: int) -> _Flow | None:
        """What is seen of a network; ``None`` if it cannot be run over a small image."""
        side = [max(m, 8) for m in getattr(network, "multiple", (8,) * dims)]
        flow = cls()
        watched = (*CONVOLUTIONS, *_NORMS, *ACTIVATIONS)
        hooks = [
            hook
            for module in network.modules()
            if isinstance(module, watched)
            for hook in (
                module.register_forward_pre_hook(flow._calling),
                module.register_forward_hook(flow._called),
            )
        ]
        first = next(network.parameters(), torch.empty(0))
        try:
            with torch.no_grad(), flow:
                network(torch.zeros(1, inputs, *side, device=first.device))
        except Exception:
            return None  # what is wrong with it is said when it is run in earnest
        finally:
            for hook in hooks:
                hook.remove()
        return flow

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        looked = _tensors((args, kwargs or {}))
        self._looks.update(id(tensor) for tensor in looked)
        self._kept += looked
        result = function(*args, **(kwargs or {}))
        made = _tensors(result)
        self._kept += made
        known = {id(tensor) for tensor in looked}  # what works in place gives that back
        storages = {tensor.untyped_storage()._cdata for tensor in looked}
        for tensor in made:
            if id(tensor) not in known and tensor.untyped_storage()._cdata in storages:
                self._views.add(id(tensor))
        return result

    def _calling(self, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._first = self._looks[id(given[0])] == 0

    def _called(self, module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        # What works in place makes what it is given, which another layer made before.
        call = _Call(given[0], self._made_by.get(id(given[0])), self._first)
        self.calls.setdefault(module, []).append(call)
        self._made_by[id(made)] = module
        self._kept.append(made)

    def maker(self, module: nn.Module) -> nn.Module | None:
        """The convolution whose result goes to that module and nowhere else, each called once."""
        calls = self.calls.get(module, [])
        if len(calls) != 1 or self._looks[id(calls[0].given)] != 1:
            return None
        return self._once(calls[0].maker)

    def _once(self, module: nn.Module | None) -> nn.Module | None:
        if not isinstance(module, CONVOLUTIONS) or not is_stock(module):
            return None
        return module if len(self.calls[module]) == 1 else None

    def alone(self, module: nn.Module) -> bool:
        """Whether what it gets is a layer's own result, each time, which nothing else looks at."""
        given = self.calls.get(module, [])
        return bool(given) and all(
            self._looks[id(call.given)] == 1
            and call.maker is not None
            and id(call.given) not in self._views
            for call in given
        )

    def makers(self, activation: nn.Module) -> list[nn.Module]:
        """The convolutions of which an activation gets all results, each called once.

        A norm that becomes part of its convolution may be between. None if it gets anything else,
        or if something sees a result before it.
        """
        found = []
        if not is_stock(activation):
            return []
        for call in self.calls.get(activation, []):
            before = call.maker
            if isinstance(before, _NORMS) and before.running_mean is not None:
                before = self.maker(before)
            before = self._once(before)
            # In place, whoever looks later sees what the activation has made of it.
            alone = self._looks[id(call.given)] == 1 or cast("nn.ReLU", activation).inplace
            if before is None or not (call.first and alone) or id(call.given) in self._views:
                return []
            found.append(before)
        return found if len(set(found)) == len(found) else []


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return []
    return [tensor for part in tree for tensor in _tensors(part)]


def _folded(network: nn.Module, flow: _Flow) -> dict[nn.Module, nn.Module]:
    """What convolutions and norms become: Jacob et al., CVPR 2018, section 3.2."""
    changed: dict[nn.Module, nn.Module] = {}
    for norm in network.modules():
        # Without statistics of its own it takes those of each image, and stays.
        if isinstance(norm, _NORMS) and norm.running_mean is not None:
            before = flow.maker(norm)
            if before is not None:
                changed[before] = fuse_conv_bn_eval(cast("nn.Conv2d", before), norm)
                changed[norm] = nn.Identity()
    return changed


def _replace(network: nn.Module, changed: dict[nn.Module, nn.Module]) -> None:
    for parent in [*network.modules()]:
        for name, child in [*parent._modules.items()]:
            if child is not None and child in changed:
                setattr(parent, name, changed[child])


def _is_pointwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv3d)
        and set(module.kernel_size) == set(module.stride) == {1}
        and module.groups == 1
        and set(module.padding) in ({0}, {"valid"})
    )


class Pointwise(nn.Module):
    """A 3-D convolution of kernel 1."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.weight = cast("nn.Parameter", layer.weight)
        self.bias = cast("nn.Parameter | None", layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, X, Y, Z)`` to ``(N, D, X, Y, Z)``, channels last."""
        if not x.is_contiguous(memory_format=torch.channels_last_3d):
            return F.conv3d(x, self.weight, self.bias)
        weight = self.weight.reshape(self.weight.shape[:2])
        return F.linear(x.permute(0, 2, 3, 4, 1), weight, self.bias).permute(0, 4, 1, 2, 3)


class _AsItComes(nn.Module):
    """A layer outside autocast."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, *given: Any, **named: Any) -> Any:
        """As the layer."""
        x = next(value for value in (*given, *named.values()) if isinstance(value, Tensor))
        with without_autocast(x.device.type):
            return self.layer(*given, **named)
