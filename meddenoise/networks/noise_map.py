"""How strong the noise is, as a second channel of a network's input."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["with_noise_map"]


def with_noise_map(image: Tensor, sigma: Tensor) -> Tensor:
    """The image and a map of its noise level, so that one network serves many levels.

    As FFDNet's (Zhang et al., IEEE TIP 27(9), 2018, section 3), but without its down-sampling.

    Args:
        image: ``(B, 1, *spatial)``, normalised.
        sigma: the noise's standard deviation in the same normalised units: ``(B,)``, or a map that
            broadcasts to ``image``.

    Returns:
        ``(B, 2, *spatial)``.
    """
    if sigma.ndim == 1:
        sigma = sigma.view(-1, *[1] * (image.ndim - 1))
    return torch.cat([image, sigma.to(image).expand_as(image)], dim=1)
