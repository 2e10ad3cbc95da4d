"""Batch norm made part of the convolution before it, for inference."""

from __future__ import annotations

import copy
from typing import cast

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

__all__ = ["fold_batch_norm"]


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """The same function without the batch norms that follow a convolution in a ``Sequential``.

    In evaluation such a norm is one factor and one summand a channel, which weights and bias of the
    convolution take in (Jacob et al., CVPR 2018, section 3.2).

    Args:
        network: not changed.

    Returns:
        A copy in evaluation mode, whose ``Sequential`` parts are laid out as those of one that
        never had batch norm.
    """
    folded = copy.deepcopy(network).eval()
    for module in [*folded.modules()]:
        for name, child in [*module.named_children()]:
            if isinstance(child, nn.Sequential):
                setattr(module, name, _without_norms(child))
    return folded


def _without_norms(layers: nn.Sequential) -> nn.Sequential:
    kept: list[nn.Module] = []
    for layer in layers:
        before = kept[-1] if kept else None
        convolution = isinstance(before, (nn.Conv2d, nn.Conv3d))
        if convolution and isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            kept[-1] = fuse_conv_bn_eval(cast("nn.Conv2d", before), layer)
        else:
            kept.append(layer)
    # Own kinds of Sequential, and layers with names, stay what they are.
    return layers if len(kept) == len(layers) else nn.Sequential(*kept)
