"""Networks of MONAI, for comparison and for those who know them from segmentation.

MONAI is imported when one of them is built, for that takes seconds.

**Their norms divide by the contrast of the patch they see**, and subtract its mean: the absolute
intensity (a HU value, a quantitative map) is gone after the first layer, and no later one can know
it. So ``residual`` is on here: the network predicts the noise, and intensities pass by it
untouched. What is left of it: a tile is not denoised as the whole volume would be (its statistics
are others; there may be seams, so give ``inference.tile`` the size of the patch or more, and a wide
``overlap``), how much noise is taken off does not grow with the image, and blind-spot training is
out of the question, for the shortcut carries each voxel's own noise. ``norm: none``, where it can
be had, has none of these faults.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.errors import ConfigError, MissingDependency
from meddenoise.networks.layers import crop_to, pad_to_multiple
from meddenoise.networks.levels import MOST_LAYERS, multiple_of, reach_of, steps_between
from meddenoise.networks.registry import is_too_large, register_network

__all__ = ["MonaiAttentionUnet", "MonaiBasicUNet", "MonaiDynUNet", "MonaiSwinUNETR"]

Norm = Literal["instance", "batch", "none"]


class _Monai(nn.Module):
    """What MONAI's networks need to take any size: padding, and a shortcut around their norms.

    Args:
        build: makes the network.
        multiple: voxels of its coarsest grid's cell, per axis.
        residual: add the image to what it gives.
    """

    def __init__(
        self, build: Callable[[], nn.Module], multiple: tuple[int, ...], residual: bool
    ) -> None:
        super().__init__()
        try:
            self.network = build()
        except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError,
                ValueError) as fault:  # fmt: skip
            if is_too_large(fault):
                raise
            raise ConfigError(
                f"MONAI builds no {type(self).__name__.removeprefix('Monai')} with these options: "
                f"{' '.join(str(fault).split()).rstrip('.')}."
            ) from fault
        self.multiple = multiple
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        padded = pad_to_multiple(x, self.multiple)
        if math.prod(padded.shape[2:]) == math.prod(self.multiple):
            # One voxel on the coarsest grid has no contrast for a norm to divide by.
            pads = [0] * (2 * len(size) - 1) + [self.multiple[0]]
            padded = F.pad(padded, pads, mode="replicate")
        y = self.network(padded)
        return crop_to(padded[:, :1] + y if self.residual else y, size)


def _named(norm: Norm) -> Any:
    """As MONAI names it; an affine instance norm, as its networks have it by default."""
    return {"instance": ("instance", {"affine": True}), "batch": "batch", "none": ""}[norm]


@register_network("monai_basic_unet")
class MonaiBasicUNet(_Monai):
    """MONAI's BasicUNet: five levels, two convolutions each (Falk et al., Nat Methods 16, 2019).

    Args:
        dims: 2 or 3.
        features: of the five levels, top first, and after the last step up; at least 2 at the three
            coarsest levels, of which a step up takes half.
        norm: see :mod:`meddenoise.networks.monai`.
        residual: predict the difference from the input.
        inputs: channels of the input, of which the first is the image.
    """

    def __init__(
        self,
        dims: int = 3,
        features: Sequence[int] = (32, 32, 64, 128, 256, 32),
        norm: Norm = "instance",
        residual: bool = True,
        inputs: int = 1,
    ) -> None:
        if len(features) != 6 or min(features) < 1:
            raise ConfigError(f"network.features are six positive numbers, not {list(features)}.")
        if min(features[2:5]) < 2:
            raise ConfigError(
                "network.features are at least 2 at the three coarsest levels (the third to the "
                f"fifth number), of which a step up takes half, not {list(features)}."
            )

        def build() -> nn.Module:
            from monai.networks.nets import BasicUNet

            return BasicUNet(dims, inputs, 1, features=tuple(features), norm=_named(norm))

        steps = [(2,) * dims] * 4
        super().__init__(build, multiple_of(dims, steps), residual)
        if norm == "none":
            self.halo = reach_of(dims, steps, [4, 4, 4, 4, 2])


@register_network("monai_attention_unet")
class MonaiAttentionUnet(_Monai):
    """MONAI's AttentionUnet, with batch and instance norm (Oktay et al., MIDL 2018).

    Our own U-Net has such gates too, without norms: ``name: unet, attention: true``.

    Args:
        dims: 2 or 3.
        channels: features per level, top first; at least two levels, and at least 2 features but
            at the coarsest, of which its gates take half.
        strides: by how much each axis shrinks from level to level; see :class:`UNet`.
        residual: predict the difference from the input; see :mod:`meddenoise.networks.monai`.
        inputs: channels of the input, of which the first is the image.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        strides: Sequence[int | Sequence[int]] | None = None,
        residual: bool = True,
        inputs: int = 1,
    ) -> None:
        steps = steps_between("An AttentionUnet", dims, channels, strides)
        if not steps:
            raise ConfigError("An AttentionUnet has at least two levels of channels.")
        if min(channels[:-1]) < 2:
            raise ConfigError(
                "network.channels of an AttentionUnet are at least 2 but at the coarsest level, as "
                f"its gates take half of them, not {list(channels)}."
            )

        def build() -> nn.Module:
            from monai.networks.nets import AttentionUnet

            return AttentionUnet(dims, inputs, 1, tuple(channels), steps)

        super().__init__(build, multiple_of(dims, steps), residual)


@register_network("monai_dynunet")
class MonaiDynUNet(_Monai):
    """MONAI's DynUNet, the network of nnU-Net (Isensee et al., Nat Methods 18, 2021).

    Args:
        dims: 2 or 3.
        channels: features per level, top first; at least three levels.
        strides: by how much each axis shrinks from level to level; see :class:`UNet`.
        residual_blocks: convolutions with a shortcut around every two.
        norm: see :mod:`meddenoise.networks.monai`.
        residual: predict the difference from the input.
        inputs: channels of the input, of which the first is the image.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        strides: Sequence[int | Sequence[int]] | None = None,
        residual_blocks: bool = False,
        norm: Norm = "instance",
        residual: bool = True,
        inputs: int = 1,
    ) -> None:
        steps = steps_between("A DynUNet", dims, channels, strides)
        if len(steps) < 2:
            raise ConfigError("A DynUNet has at least three levels of channels.")

        def build() -> nn.Module:
            from monai.networks.nets import DynUNet

            return DynUNet(
                dims,
                inputs,
                1,
                kernel_size=[3] * len(channels),
                strides=[1, *steps],
                upsample_kernel_size=steps,
                filters=list(channels),
                norm_name=_named(norm),
                res_block=residual_blocks,
            )

        super().__init__(build, multiple_of(dims, steps), residual)
        if norm == "none":
            # A strided convolution of 3 voxels is one on the finer grid.
            between = [4] * (len(steps) - 1)
            self.halo = reach_of(dims, steps, [5, *between, 1])


@register_network("monai_swin_unetr")
class MonaiSwinUNETR(_Monai):
    """MONAI's SwinUNETR: attention within windows (Hatamizadeh et al., BrainLes 2021).

    Its transformer normalises each voxel's features whatever ``norm`` says of its convolutions.

    Args:
        dims: 2 or 3.
        feature_size: a multiple of 12.
        depths: blocks of the four stages.
        heads: attention heads of the four stages.
        window: voxels along each axis of a window.
        norm: of the convolutions; see :mod:`meddenoise.networks.monai`.
        residual: predict the difference from the input.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: options that MONAI refuses.
        MissingDependency: no einops, which MONAI's transformers need.
    """

    def __init__(
        self,
        dims: int = 3,
        feature_size: int = 24,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 7,
        norm: Norm = "instance",
        residual: bool = True,
        inputs: int = 1,
    ) -> None:
        if importlib.util.find_spec("einops") is None:
            raise MissingDependency(
                "monai_swin_unetr needs einops, which is not installed: pip install "
                '"meddenoise[monai]".'
            )
        if len(depths) != 4 or len(heads) != 4 or min(*depths, *heads, window, feature_size) < 1:
            raise ConfigError(
                "network.depths and network.heads are four positive numbers each, and "
                "network.window and network.feature_size one."
            )
        if max(depths) > MOST_LAYERS:
            raise ConfigError(f"network.depths are at most {MOST_LAYERS}, not {list(depths)}.")
        if any(feature_size * 2**stage % number for stage, number in enumerate(heads)):
            raise ConfigError(
                f"network.heads {list(heads)} must divide the stages' features, feature_size "
                f"{feature_size} times 1, 2, 4 and 8."
            )

        def build() -> nn.Module:
            from monai.networks.nets import SwinUNETR

            return SwinUNETR(
                inputs,
                1,
                depths=tuple(depths),
                num_heads=tuple(heads),
                window_size=window,
                feature_size=feature_size,
                norm_name=_named(norm),
                spatial_dims=dims,
            )

        super().__init__(build, (32,) * dims, residual)
