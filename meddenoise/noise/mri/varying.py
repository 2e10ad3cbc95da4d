"""Noise whose strength changes smoothly over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import (
    check_number,
    checked_map,
    checked_parameter,
    spatial_axes,
    standard_normal,
    working,
)
from meddenoise.noise.gaussian import gaussian
from meddenoise.noise.mri.rician import rician
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["smooth_field", "varying"]

# Knots per axis of the random field: fewer and it is a ramp, more and it is a texture.
_KNOTS = 4


@register_noise("varying", levels=("sigma",), maps=("sigma_map",))
def varying(
    x: Tensor,
    sigma: float | Tensor,
    *,
    variation: float = 3.0,
    sigma_map: Any = None,
    distribution: Literal["rician", "gaussian"] = "rician",
    generator: torch.Generator | None = None,
) -> Tensor:
    """MRI, noise of ``sigma m(x)`` with a smooth map m, as after a correction of coil profiles.

    A correction of the coils' sensitivity amplifies the noise far from the coils. m is drawn
    anew for each image: ``m = variation^(f - 1/2)`` with :func:`smooth_field` f.

    Args:
        x: the noise-free image, ``(X, Y)``, ``(X, Y, Z)`` or with ``(B, C)`` before; floating
            point; not modified.
        sigma: standard deviation where m is 1, in image units, at least 0; for Rician noise
            that of the real and the imaginary channel.
        variation: the largest sigma of an image by its smallest, at least 1.
        sigma_map: m, a map that broadcasts to the image, at least 0; instead of a random one.
            For a map in image units take ``sigma=1``.
        distribution: ``"rician"`` or ``"gaussian"``.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    clean = working(x)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    if distribution not in ("rician", "gaussian"):
        raise ParameterError(
            f"distribution is {distribution!r}: it must be 'rician' or 'gaussian'."
        )
    if sigma_map is None:
        ratio = check_number("variation", variation, unit="largest by smallest sigma", least=1.0)
        m = ratio ** (smooth_field(clean, generator) - 0.5)
    else:
        m = checked_map("sigma_map", sigma_map, clean, unit="multiples of sigma")
    model = rician if distribution == "rician" else gaussian
    return model(clean, (level * m).expand_as(clean), generator=generator).to(x.dtype)


def smooth_field(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A random smooth field from 0 to 1, for each image of a batch its own.

    Normal numbers at 4 knots per axis, linear between, then stretched to 0 to 1.

    Args:
        like: the image or batch whose shape, dtype and device are taken.
        generator: where the draws come from; torch's global one if None.

    Returns:
        The spatial shape, with ``(B, 1)`` before it for a batch.
    """
    import torch
    from torch.nn import functional as F

    axes = spatial_axes(like)
    batch = like.shape[0] if axes[0] else 1
    knots = like.new_empty((batch, 1, *[_KNOTS] * len(axes)))
    size = [like.shape[axis] for axis in axes]
    mode = "bilinear" if len(axes) == 2 else "trilinear"
    field = F.interpolate(
        standard_normal(knots, generator), size=size, mode=mode, align_corners=True
    )
    low, high = torch.aminmax(field.flatten(1), dim=1)
    one_each = (-1, *[1] * (field.ndim - 1))
    span = (high - low).clamp(min=torch.finfo(field.dtype).tiny)
    field = (field - low.view(one_each)) / span.view(one_each)
    return field if axes[0] else field[0, 0]
