"""A network that says how much of each coefficient of overlapping blocks is image."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.networks.lapped_transform import LappedTransform
from meddenoise.networks.layers import (
    conv,
    crop_to,
    is_autocast,
    is_exported,
    pad_to_multiple,
    start_as_zero,
)
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
# So many coefficients at a time: 2 MiB, and a few times that with what is made of them.
_CACHED = 2**19
# In at least so many parts, so that what a small image takes tells of larger ones.
_FEWEST = 8


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
            noisy = _Coefficients(self.blocks, exact - level, _rows_at_a_time(exact, self.blocks))
            with torch.no_grad():
                image = self.blocks.woven(map(_thresholded, noisy), noisy.rows)
                first = _Coefficients(self.blocks, image, noisy.part)
        said = self.body(self._seen(noisy, first)).movedim(1, -1)
        with torch.autocast(x.device.type, enabled=False):
            parts = zip(noisy, first, noisy.as_they_come(said), strict=True)
            found = level + self.blocks.woven(itertools.starmap(_shrunk, parts), noisy.rows)
        return crop_to(found, x.shape[2:])

    def _seen(self, noisy: _Coefficients, first: _Coefficients) -> Tensor:
        """``(B, 2 * coefficients, *grid)``, channels last, in what the U-Net computes in."""
        seen: list[Tensor] = []
        device = noisy.device
        kind = torch.get_autocast_dtype(device) if is_autocast(device) else None
        with torch.autocast(device, enabled=False):
            for pair in zip(noisy, first, strict=True):
                seen.append(_side_by_side([_compressed(image) for image in pair], kind))
        return (seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)).movedim(-1, 1)


class _Coefficients:
    """Those of an image's blocks, channels last: all at once, or some rows of blocks at a time.

    A sweep over all of a volume's coefficients, eight for each voxel, waits for the memory; some
    rows stay in a processor's cache through all that is done with them. To compute them again for
    the next sweep costs less than to fetch them.

    Args:
        blocks: the transform.
        image: ``(B, 1, *spatial)``, whole cells.
        part: so many rows at a time.

    Attributes:
        rows: of all blocks.
        part: see there.
        device: the kind of it.
    """

    def __init__(self, blocks: LappedTransform, image: Tensor, part: int) -> None:
        self._blocks, self._prepared = blocks, blocks.prepared(image)
        self.rows, self.part = image.shape[2] // blocks.cell, part
        self.device = image.device.type
        self._all = self._of(0) if part >= self.rows else None

    def __iter__(self) -> Iterator[Tensor]:
        """``(B, part, *grid[1:], coefficients)``, the last perhaps of fewer rows."""
        if self._all is not None:
            return iter([self._all])
        return map(self._of, range(0, self.rows, self.part))

    def as_they_come(self, grid: Tensor) -> Sequence[Tensor]:
        """``(B, rows, ...)`` in the same parts."""
        return [grid] if self._all is not None else grid.split(self.part, dim=1)

    def _of(self, row: int) -> Tensor:
        return self._blocks.of(self._prepared, slice(row, row + self.part))


def _rows_at_a_time(image: Tensor, blocks: LappedTransform) -> int:
    """As many as a processor's cache holds; all where gradients are wanted, and on a GPU."""
    rows = image.shape[2] // blocks.cell
    if image.device.type != "cpu" or torch.is_grad_enabled() or is_exported():
        return rows
    row = image[:, :, 0].numel() // blocks.cell ** (blocks.dims - 1) * blocks.coefficients
    return max(1, min(_CACHED // row, -(-rows // _FEWEST)))


def _side_by_side(images: Sequence[Tensor], kind: torch.dtype | None) -> Tensor:
    """One after the other along the last axis, as ``kind`` if there is one."""
    if kind is None or torch.is_grad_enabled() or is_exported():
        both = torch.cat(list(images), dim=-1)
        return both if kind is None else both.to(kind)
    # Each is rounded on its way to where it belongs.
    sizes = [image.shape[-1] for image in images]
    both = images[0].new_empty((*images[0].shape[:-1], sum(sizes)), dtype=kind)
    for image, place in zip(images, both.split(sizes, dim=-1), strict=True):
        place.copy_(image)
    return both


def _thresholded(noisy: Tensor) -> tuple[Tensor, Tensor]:
    """The coefficients that are surely image, and the weights of their blocks: the first image."""
    kept = F.hardshrink(noisy, _THRESHOLD)
    # Signs add up three times as fast as a count of what is not 0.
    fewest = kept.sign().square_().sum(-1, keepdim=True).clamp_(min=1)
    return kept, fewest.reciprocal_()


def _shrunk(noisy: Tensor, first: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """What the U-Net says, applied: coefficients, and the weights of their blocks."""
    count = noisy.shape[-1]
    gain, aim, weight = said.to(noisy.dtype).split([count, count, 1], dim=-1)
    # The logits of the Wiener gains that the first image suggests.
    prior = first.square().add_(_GRANTED).log_()
    gain = prior.add_(gain).sigmoid_()
    spread = torch.linalg.vector_norm(gain.detach(), dim=-1, keepdim=True).square_().clamp_(min=1)
    weight = weight.clamp(-_LIGHTEST, _LIGHTEST).exp() / spread
    return torch.lerp(aim, noisy, gain), weight


def _compressed(coefficients: Tensor) -> Tensor:
    """As they are where they may be noise, and never beyond the knee."""
    below = torch.addcmul(coefficients.new_ones(()), coefficients, coefficients, value=_KNEE**-2)
    return coefficients * below.rsqrt_()
