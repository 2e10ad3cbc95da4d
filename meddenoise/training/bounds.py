"""What a correction of a filter's result may not do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

__all__ = ["Bounds"]

# Voxels to a side over which the filter's mean is kept.
_LEVEL = 9


@dataclass(frozen=True)
class Bounds:
    """It has no say in the local mean, and none where it is dark.

    Filters keep the local mean, and noise that is not quite Gaussian (magnitude MRI of a low SNR,
    stabilised or not) would shift it.

    Attributes:
        floor: below it, in the image's units, nothing is corrected.
        width: above it the correction fades in over so much.
    """

    floor: float
    width: float

    def keep(self, filtered: Tensor, output: Tensor) -> Tensor:
        """The output within the bounds, with the filtered image's local mean; ``(B, 1, ...)``."""
        return filtered + self.allowed(filtered, output - filtered)

    def allowed(self, filtered: Tensor, correction: Tensor) -> Tensor:
        """What a correction may do of what it would; linear in it, ``(B, 1, ...)``."""
        correction = correction - _local_mean(correction)
        if self.floor > -math.inf:
            correction = correction * ((filtered - self.floor) / self.width).clamp(0, 1)
        return correction


def _local_mean(image: Tensor) -> Tensor:
    """Over a cube; ``(B, 1, ...)``."""
    for axis in range(2, image.ndim):
        # One axis at a time: 9 + 9 + 9 additions a voxel instead of 729.
        lines = image.movedim(axis, -1)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        mean = F.avg_pool1d(flat, _LEVEL, stride=1, padding=_LEVEL // 2, count_include_pad=False)
        image = mean.reshape(lines.shape).movedim(-1, axis)
    return image
