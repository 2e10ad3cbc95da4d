"""In which precision and memory layout a run computes: by a rule, or by a short measurement."""

from __future__ import annotations

import copy
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import nn

from meddenoise.config import TrainingConfig
from meddenoise.devices import has_fast_bf16
from meddenoise.inference.layout import use_layout
from meddenoise.inference.memory import is_out_of_memory

__all__ = ["Arithmetic", "choose_arithmetic"]

# The candidates together may take so many seconds; each is run so often before it is timed, and
# timed so often at most.
_BUDGET, _WARM, _TIMED = 2.0, 2, 5
# A measurement that is not clearly better than the rule is noise.
_MARGIN = 0.97

_known: dict[tuple[object, ...], Arithmetic] = {}


@dataclass(frozen=True)
class Arithmetic:
    """How a run computes.

    Attributes:
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``, of what autocast computes in it.
        layout: ``"contiguous"`` or ``"channels_last"``, of weights and images in memory.
        by: ``"rule"``, ``"measurement"``, or ``"settings"`` where both were asked for.
    """

    precision: str
    layout: str
    by: str = "rule"

    def as_dict(self) -> dict[str, str]:
        """For provenance and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Arithmetic:
        """What :meth:`as_dict` gave."""
        return cls(**{name: str(told[name]) for name in ("precision", "layout", "by")})

    def same(self, other: Arithmetic) -> bool:
        """Whether both give the same numbers."""
        return (self.precision, self.layout) == (other.precision, other.layout)

    def lay_out(self, network: nn.Module, dims: int) -> nn.Module:
        """The network, its weights in that layout, in place."""
        last = torch.channels_last if dims == 2 else torch.channels_last_3d
        if self.layout == "channels_last":
            use_layout(network, dims + 2, last)
        return network


def choose_arithmetic(
    settings: TrainingConfig, device: torch.device, network: nn.Module, shape: Sequence[int]
) -> Arithmetic:
    """What the settings ask for, and of the rest what is quickest on that device.

    By rule: bf16 where the device computes in it natively, else fp32; channels-last on a CPU, where
    it gains some tenths in 3-D and little in 2-D, and contiguous elsewhere. On
    one CUDA device the alternatives are tried for two seconds instead, on a forward and backward
    pass of this shape, unless ``training.autotune`` is off; several processes must compute alike,
    and go by the rule.

    Args:
        settings: of the run.
        device: to compute on.
        network: left as it is, on whatever device.
        shape: of a batch, ``(B, C, *patch)``.
    """
    rule = _by_rule(settings, device)
    open_ = [key for key in ("precision", "layout") if getattr(settings, key) == "auto"]
    if not open_:
        return replace(rule, by="settings")
    if not settings.autotune or not _is_measured(device):
        return rule
    weights = tuple(tuple(p.shape) for p in network.parameters())
    key = (_name(device), type(network).__qualname__, weights, tuple(shape), rule, *open_)
    if key not in _known:
        found, told = _measured(rule, open_, device, network, shape)
        _known[key] = found
        warnings.warn(told, stacklevel=3)
    return _known[key]


def _by_rule(settings: TrainingConfig, device: torch.device) -> Arithmetic:
    precision, layout = settings.precision, settings.layout
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    if layout == "auto":
        layout = "channels_last" if device.type == "cpu" else "contiguous"
    return Arithmetic(precision, layout)


def _is_measured(device: torch.device) -> bool:
    return device.type == "cuda" and int(os.environ.get("WORLD_SIZE", "1")) == 1


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _measured(
    rule: Arithmetic,
    open_: Sequence[str],
    device: torch.device,
    network: nn.Module,
    shape: Sequence[int],
) -> tuple[Arithmetic, str]:
    """The quickest, and a sentence that says so."""
    precisions = ("bf16", "fp32") if "precision" in open_ else (rule.precision,)
    layouts = ("contiguous", "channels_last") if "layout" in open_ else (rule.layout,)
    others = [Arithmetic(*pair) for pair in product(precisions, layouts)]
    others = [rule, *(other for other in others if not other.same(rule))]
    end = time.perf_counter() + _BUDGET
    seconds: dict[Arithmetic, float] = {}
    # Networks may draw random numbers (dropout); the run's own are not to depend on that.
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for number, each in enumerate(others):
            share = (end - time.perf_counter()) / (len(others) - number)
            try:
                seconds[each] = quickest(_steps(each, device, network, shape), share)
            except RuntimeError as fault:
                if not is_out_of_memory(fault):
                    raise
    if not seconds:  # the first step will say what to do about it
        return rule, "There is no memory to measure in which precision and layout to compute."
    best = min(seconds, key=lambda each: seconds[each] * (_MARGIN if each is rule else 1))
    tried = ", ".join(
        f"{each.precision} {each.layout.replace('_', '-')} {1e3 * taken:.2f} ms"
        for each, taken in sorted(seconds.items(), key=lambda pair: pair[1])
    )
    told = (
        f"Measured, a pass of {' x '.join(map(str, shape))}: {tried}. Taken: {best.precision}, "
        f"{best.layout.replace('_', '-')} (training.autotune: false leaves it to a rule)."
    )
    return replace(best, by="measurement"), told


def quickest(steps: Iterator[None], seconds: float) -> float:
    """The least time of a step, of as many as fit into so many seconds; at least one.

    Args:
        steps: does one whenever it is asked for the next.
        seconds: may be negative: then one step is made, and timed.
    """
    end = time.perf_counter() + seconds
    taken: list[float] = []
    for number in range(_WARM + _TIMED):
        began = time.perf_counter()
        next(steps)
        now = time.perf_counter()
        if number >= _WARM or now > end:
            taken.append(now - began)
        if now > end:
            break
    return min(taken)


def _steps(
    each: Arithmetic, device: torch.device, network: nn.Module, shape: Sequence[int]
) -> Iterator[None]:
    """Forward and backward passes of a copy of the network, one after the other."""
    trial = each.lay_out(copy.deepcopy(network).to(device), len(shape) - 2)
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    x = torch.randn(tuple(shape), device=device)
    while True:
        with torch.autocast(device.type, kinds[each.precision], enabled=each.precision != "fp32"):
            loss = trial(x).float().square().mean()
        loss.backward()
        trial.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        yield
