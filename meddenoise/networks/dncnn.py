"""DnCNN: a plain chain of convolutions that predicts the noise."""

from __future__ import annotations

from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import conv, start_as_zero
from meddenoise.networks.levels import MOST_LAYERS
from meddenoise.networks.registry import register_network

__all__ = ["DnCNN"]


@register_network("dncnn")
class DnCNN(nn.Module):
    """A chain of convolutions that predicts the noise (Zhang et al., IEEE TIP 26(7), 2017).

    Figure 1 of "Beyond a Gaussian Denoiser": ``depth`` convolutions of 3 voxels with ReLU between;
    the output is the input minus the predicted noise. Its receptive field is ``2 * depth + 1``
    voxels.

    Args:
        dims: 2 or 3.
        depth: number of convolutions, 2 or more (the paper: 17 for one noise level, 20 for
            many).
        width: feature channels (the paper: 64).
        batch_norm: the paper's batch normalisation between convolution and ReLU. Off by
            default: batch statistics tie a voxel's value to the other patches of its batch. A
            model file has it folded into the convolutions.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: an impossible depth or width.
    """

    def __init__(
        self,
        dims: int = 3,
        depth: int = 17,
        width: int = 64,
        batch_norm: bool = False,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        if not 2 <= depth <= MOST_LAYERS or width < 1:
            raise ConfigError(
                f"A DnCNN has at least 2 layers, at most {MOST_LAYERS}, and at least 1 feature "
                f"channel, not {depth} and {width}."
            )
        norm = nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d
        layers: list[nn.Module] = [conv(dims, inputs, width), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers.append(conv(dims, width, width, bias=not batch_norm))
            if batch_norm:
                layers.append(norm(width))
            layers.append(nn.ReLU(inplace=True))
        layers.append(start_as_zero(conv(dims, width, 1)))
        self.noise = nn.Sequential(*layers)
        self.halo = (depth,) * dims
        self.multiple = (1,) * dims

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``, denoised."""
        return x[:, :1] - self.noise(x)
