"""What every noise model needs: checked parameters, and random draws that can be replayed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from meddenoise.errors import ParameterError

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike
    from torch import Tensor

__all__ = [
    "check_count",
    "check_number",
    "checked_map",
    "checked_parameter",
    "poisson_counts",
    "spatial_axes",
    "standard_normal",
    "uniform",
    "working",
]

# Poisson counts of a larger mean are normal to a millionth of their spread, and torch's own draws
# lose it to rounding and, beyond 64 bits, the whole count.
_MOST_COUNTED = 2.0**40


def check_number(
    name: str,
    value: float,
    *,
    unit: str,
    least: float = 0.0,
    most: float = math.inf,
    open_below: bool = False,
) -> float:
    """``value`` as a float, if it is finite and within ``least`` to ``most``.

    Args:
        name: the parameter's name, for the message.
        value: the number to check.
        unit: its unit in words, for the message.
        least: the smallest valid value; with ``open_below`` the largest invalid one.
        most: the largest valid value.

    Raises:
        ParameterError: names the parameter, its unit and its valid range.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ParameterError(f"{name} is {value!r}: it must be a number ({unit}).")
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    fits = number > least if open_below else number >= least
    if not (math.isfinite(number) and fits and number <= most):
        raise ParameterError(
            f"{name} is {number:g}: it must be {_range(least, most, open_below)} ({unit})."
        )
    return number


def check_count(name: str, value: int, *, unit: str, least: int = 0) -> int:
    """``value``, if it is a whole number of at least ``least``.

    Raises:
        ParameterError: names the parameter, its unit and its valid range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ParameterError(f"{name} is {value!r}: it must be a whole number ({unit}).")
    return int(check_number(name, value, unit=unit, least=least))


def checked_parameter(
    name: str,
    value: float | Tensor,
    x: Tensor,
    *,
    unit: str,
    least: float = 0.0,
    most: float = math.inf,
    open_below: bool = False,
) -> float | Tensor:
    """A parameter that is one number, or a tensor with one for each sample or voxel of ``x``.

    Returns:
        The number, or the tensor on ``x``'s device and in ``x``'s dtype.

    Raises:
        ParameterError: out of range, not finite, or it does not broadcast to ``x``'s shape.
    """
    import torch

    if not isinstance(value, torch.Tensor):
        return check_number(name, value, unit=unit, least=least, most=most, open_below=open_below)
    try:
        fits = torch.broadcast_shapes(value.shape, x.shape) == x.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ParameterError(
            f"{name} has shape {tuple(value.shape)}, which does not broadcast to the image's "
            f"{tuple(x.shape)}: give one number, or one for each sample as (B, 1, ...)."
        )
    value = value.to(device=x.device, dtype=x.dtype)
    low = value > least if open_below else value >= least
    if not bool((low & (value <= most) & torch.isfinite(value)).all()):
        raise ParameterError(
            f"{name} has values from {float(value.min()):g} to {float(value.max()):g}: all must "
            f"be {_range(least, most, open_below)} ({unit})."
        )
    return value


def checked_map(
    name: str, value: ArrayLike | Tensor, x: Tensor, *, unit: str, open_below: bool = False
) -> Tensor:
    """A map over the image, such as of a g-factor, as a tensor that broadcasts to ``x``.

    Raises:
        ParameterError: no array of numbers, negative or not finite somewhere, or of a shape that
            does not fit.
    """
    import torch

    found = value
    if not isinstance(found, torch.Tensor):
        try:
            given = np.asarray(value)
            # A copy: torch takes no other byte order, no mirrored view and nothing read-only.
            found = torch.from_numpy(given.astype(np.float64, order="C", casting="same_kind"))
        except (TypeError, ValueError):
            raise ParameterError(f"{name} must be a map on the image's grid ({unit}).") from None
    fitted = checked_parameter(name, found, x, unit=unit, open_below=open_below)
    assert isinstance(fitted, torch.Tensor)  # it was one
    return fitted


def spatial_axes(x: Tensor) -> tuple[int, ...]:
    """The axes of an image that are space: all of ``(X, Y)`` and ``(X, Y, Z)``.

    With four or five axes the first two are batch and channel.

    Raises:
        ParameterError: another number of axes.
    """
    if not 2 <= x.ndim <= 5:
        raise ParameterError(
            f"An image is (X, Y), (X, Y, Z), (B, C, X, Y) or (B, C, X, Y, Z), not of shape "
            f"{tuple(x.shape)}."
        )
    return tuple(range(0 if x.ndim < 4 else 2, x.ndim))


def working(x: Tensor) -> Tensor:
    """``x`` in the type noise is computed in: float32, or float64 if it is that already.

    Raises:
        ParameterError: ``x`` is no floating-point tensor, so noise would be truncated.
    """
    import torch

    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise ParameterError(f"Noise is added to floating-point tensors, not to {kind}.")
    return x if x.dtype == torch.float64 else x.float()


def standard_normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Independent N(0, 1) numbers: ``like``'s shape, dtype and device.

    They are drawn on the generator's own device, so that a CPU generator gives the same
    noise whatever device the image is on.
    """
    import torch

    device = like.device if generator is None else generator.device
    drawn = torch.randn(like.shape, generator=generator, device=device, dtype=like.dtype)
    return drawn.to(like.device)


def uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Independent numbers, uniform on [0, 1): ``like``'s dtype and device, any shape."""
    import torch

    device = like.device if generator is None else generator.device
    drawn = torch.rand(tuple(shape), generator=generator, device=device, dtype=like.dtype)
    return drawn.to(like.device)


def poisson_counts(mean: Tensor, generator: torch.Generator | None) -> Tensor:
    """Independent Poisson counts with the given means; drawn on the generator's device.

    Of a mean above 2^40 they are normal numbers of that mean and variance.
    """
    import torch

    device = mean.device if generator is None else generator.device
    counted = mean.clamp(max=_MOST_COUNTED).to(device)
    counts = torch.poisson(counted, generator=generator).to(mean.device)
    many = mean > _MOST_COUNTED
    if not bool(many.any()):
        return counts
    return torch.where(many, mean + mean.sqrt() * standard_normal(mean, generator), counts)


def _range(least: float, most: float, open_below: bool) -> str:
    if least == -math.inf:
        return "finite"
    low = f"above {least:g}" if open_below else f"at least {least:g}"
    return f"finite and {low}" if most == math.inf else f"{low} and at most {most:g}"
