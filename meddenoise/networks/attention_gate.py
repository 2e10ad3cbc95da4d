"""A gate on what a U-Net hands from its way down to its way up."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meddenoise.networks.layers import conv

__all__ = ["AttentionGate"]


class AttentionGate(nn.Module):
    """Oktay et al., "Attention U-Net", MIDL 2018, equations 1 and 2, on the skip's own grid.

        skip * sigmoid(psi(relu(W_x skip + W_g coarse)))

    Here the coarse features are upsampled first, where the paper brings the skip down to them; all
    convolutions are of 1 voxel, so the receptive field is not widened.

    Args:
        dims: 2 or 3.
        channels: of the skip, and of the coarse features.
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.from_skip = conv(dims, channels, inner, kernel=1)
        self.from_coarse = conv(dims, channels, inner, kernel=1, bias=False)
        self.gate = conv(dims, inner, 1, kernel=1)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """The skip, weighted voxel by voxel; both ``(B, channels, *spatial)``."""
        heard = torch.relu(self.from_skip(skip) + self.from_coarse(coarse))
        return skip * torch.sigmoid(self.gate(heard))
