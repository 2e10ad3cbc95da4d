"""A network to which neither the zero nor the gain of a scan's intensities matters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import crop_to, pad_to_multiple, start_as_zero
from meddenoise.networks.local_mean import LocalMean
from meddenoise.networks.registry import register_network
from meddenoise.networks.unet import UNet

__all__ = ["LevelledNet"]


@register_network("levelled")
class LevelledNet(nn.Module):
    """A U-Net that sees how each voxel differs from its surroundings, by default without biases.

    ``f(y) = y + g(y - blur(y))``, the blur a Gaussian of 2 voxels: g learns minus the noise. What
    is added to all of y is added to f(y). Without ``knee`` g has no biases and is homogeneous (see
    :class:`DRUNet`): ``f(a y + b) = a f(y) + b`` for any b and any a > 0 (networks with that
    property by other means: Herbreteau, Moebel and Kervrann, "Normalization-Equivariant Neural
    Networks with Application to Image Denoising", NeurIPS 2023).

    With ``knee`` the network is for images in units of their noise's standard deviation, where the
    gain is gone already. Differences d go in as ``k asinh(d / k)``, once with k the knee and once
    with ten times the knee: nearly as they are where they may be noise, and compressed where they
    are edges for certain, which may be hundreds high. What comes out is then never large. A
    homogeneous network has to cancel such edges to a part in a thousand, and in a short training
    does not learn to.

    Args:
        dims: 2 or 3.
        channels: features per level, top first; see :class:`UNet`.
        strides: by how much each axis shrinks from level to level; see there.
        knee: beyond which differences are compressed, in intensity units; 0: nowhere.

    Raises:
        ConfigError: as :class:`UNet`, or a knee below 0.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        strides: Sequence[int | Sequence[int]] | None = None,
        knee: float = 0.0,
    ) -> None:
        super().__init__()
        if not knee >= 0:
            raise ConfigError(f"network.knee is at least 0, not {knee}.")
        self.knees = (knee, 10 * knee) if knee else ()
        self.body = UNet(dims, channels, strides, bias=bool(knee), inputs=max(1, len(self.knees)))
        start_as_zero(self.body.out)  # begun as the identity
        self.multiple = self.body.multiple
        self.halo = tuple(reach + LocalMean.reach for reach in self.body.halo)
        self.level = LocalMean()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, *spatial)`` to the same shape."""
        padded = pad_to_multiple(x, self.multiple)
        with torch.autocast(x.device.type, enabled=False):
            # In full precision: the level may be hundreds of times the noise.
            exact = padded if padded.dtype == torch.float64 else padded.float()
            detail = exact - self.level(exact)
            if self.knees:
                detail = torch.cat([k * torch.asinh(detail / k) for k in self.knees], dim=1)
        return crop_to(padded + self.body(detail), x.shape[2:])
