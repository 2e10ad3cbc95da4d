"""A network that says how much of each coefficient of overlapping blocks is image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meddenoise.networks.lapped_transform import LappedTransform
from meddenoise.networks.layers import conv, crop_to, pad_to_multiple, start_as_zero
from meddenoise.networks.local_mean import LocalMean
from meddenoise.networks.registry import register_network
from meddenoise.networks.unet import UNet

__all__ = ["LappedNet"]

# In standard deviations of the noise. Below the first a coefficient is taken for noise at first
# (2.7 is usual in block matching); the second is the power that every coefficient is granted,
# beyond the last the U-Net is not told how large a coefficient is.
_THRESHOLD, _GRANTED, _KNEE = 2.7, 0.02, 8.0
# The weight of a block, as an exponent.
_LIGHTEST = 4.0


@register_network("lapped")
class LappedNet(nn.Module):
    """Wiener shrinkage of cosine transforms, with a U-Net that knows better.

    For images in units of their noise's standard deviation. What differs from the local mean is
    cut into overlapping blocks (4 x 4 x 4 voxels, 2 apart; in 2-D 8 x 8, 2 apart) and transformed.
    A first image comes from a hard threshold, and from its coefficients r the Wiener gains
    r^2 / (r^2 + 1). A U-Net on the grid of blocks sees the coefficients of both images. It changes
    the gains, weights the blocks, and says what each coefficient shrinks towards. It begins with
    changing nothing: already as an untrained network this is a denoiser, and strong edges pass
    as they are.

    The two shrinkages without a network are those of block matching without the matching (Dabov et
    al., IEEE TIP 16:2080, 2007); to learn the shrinkage of overlapping transforms was proposed
    by Hel-Or and Shaked (IEEE TIP 17:443, 2008), and learnt cosine transforms by Herbreteau and
    Kervrann ("DCT2net", IEEE TIP 31:4432, 2022).

    Args:
        dims: 2 or 3.
        channels: features per level, that of the blocks first; see :class:`UNet`.
        strides: by how much each axis of blocks shrinks from level to level; see there.

    Raises:
        ConfigError: as :class:`UNet`.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (48, 64, 96),
        strides: Sequence[int | Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.level = LocalMean()
        self.blocks = LappedTransform(dims, block=4 if dims == 3 else 8, cell=2)
        count = self.blocks.coefficients
        self.body = UNet(dims, channels, strides, inputs=2 * count)
        # Of each coefficient the gain and the aim; of the block the weight.
        self.body.out = start_as_zero(conv(dims, channels[0], 2 * count + 1, kernel=1))
        cell, passes = self.blocks.cell, 3
        self.multiple = tuple(cell * step for step in self.body.multiple)
        beyond = LocalMean.reach + passes * self.blocks.reach
        self.halo = tuple(cell * reach + beyond for reach in self.body.halo)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, *spatial)`` to the same shape."""
        padded = pad_to_multiple(x, self.multiple)
        with torch.autocast(x.device.type, enabled=False):
            # In full precision: edges may be hundreds of times the noise.
            exact = padded if padded.dtype == torch.float64 else padded.float()
            level = self.level(exact)
            noisy = self.blocks(exact - level)
            prior, first = self._first(noisy)
            seen = torch.cat([_compressed(noisy), _compressed(first)], dim=1)
        said = self.body(seen)
        with torch.autocast(x.device.type, enabled=False):
            count = self.blocks.coefficients
            gain, aim, weight = said.to(exact.dtype).split([count, count, 1], dim=1)
            gain = (gain + prior).sigmoid_()
            spread = gain.detach().square().sum(1, keepdim=True).clamp_(min=1)
            weight = weight.clamp(-_LIGHTEST, _LIGHTEST).exp() / spread
            found = level + self.blocks.inverse(torch.lerp(aim, noisy, gain), weight)
        return crop_to(found, x.shape[2:])

    @torch.no_grad()
    def _first(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """The first image's coefficients, and before them the logits of the gains they suggest."""
        kept = noisy.abs() > _THRESHOLD
        fewest = kept.sum(1, keepdim=True).clamp(min=1)
        image = self.blocks.inverse(noisy * kept, 1 / fewest.to(noisy.dtype))
        first: Tensor = self.blocks(image)
        return first.square().add_(_GRANTED).log_(), first


def _compressed(coefficients: Tensor) -> Tensor:
    """As they are where they may be noise, and never beyond the knee."""
    below = torch.addcmul(coefficients.new_ones(()), coefficients, coefficients, value=_KNEE**-2)
    return coefficients * below.rsqrt_()
