"""A perceptual loss without a download: features of a network with fixed random weights."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from meddenoise.data.draws import generator
from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.registry import register_loss

__all__ = ["RandomFeatures", "random_features"]

# Features a level; the grid is halved between two.
_WIDTHS = (16, 32, 64)


@register_loss("random_features")
def random_features(pair: Compared) -> Tensor:
    """Squared error of what a random network makes of both, at three scales.

    It is called perceptual elsewhere, where the network has learned to tell photographs apart. This
    one has learned nothing: its weights are random numbers, the same in every run. What it adds to
    a voxelwise loss is that neighbouring errors count together, by how they add up in random
    filters; Liu et al. (CVPR 2021, "Generic Perceptual Loss for Modeling Structured Output
    Dependencies") found such weights as good as learned ones for dense prediction. Intensities are
    in units of each scan's data range.
    """
    output, target = pair.in_ranges()
    network = _network(output.ndim - 2, str(output.device))
    levels = zip(network(output), network(target), strict=True)
    errors = [(one - other).square().flatten(1).mean(1) for one, other in levels]
    # What was not measured is alike in both, so its own features are; no mask is needed.
    return torch.stack(errors).mean(0)


class RandomFeatures(nn.Module):
    """Three convolutions without biases, each with a leaky ReLU; the weights never change."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        kind = nn.Conv2d if dims == 2 else nn.Conv3d
        widths = zip((1, *_WIDTHS), _WIDTHS, strict=False)
        self.layers = nn.ModuleList(
            kind(above, here, 3, stride=1 if above == 1 else 2, padding=1, bias=False)
            for above, here in widths
        )
        drawn = generator("random features", dims)
        with torch.no_grad():
            for layer in self.layers:
                weight = layer.weight
                assert isinstance(weight, Tensor)
                # Features as large as the input, whatever the level (He et al., ICCV 2015).
                spread = (2 / (1 + 0.2**2) / weight[0].numel()) ** 0.5
                weight.copy_(spread * torch.randn(weight.shape, generator=drawn))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 1, *patch)`` to the features of all levels."""
        found = []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
            found.append(x)
        return found


@lru_cache(maxsize=4)
def _network(dims: int, device: str) -> RandomFeatures:
    return RandomFeatures(dims).to(device)
