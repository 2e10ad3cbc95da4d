"""A critic of patches: tells denoised ones from clean ones, place by place."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["PatchCritic"]


class PatchCritic(nn.Module):
    """Strided convolutions to a grid of scores (Isola et al., CVPR 2017, section 3.2.2).

    Each score sees 31 voxels along each axis, so it judges texture and not anatomy. Three halvings,
    leaky ReLU, no norm: batch statistics would mix clean and denoised, and gradient penalties are
    of one patch each (Gulrajani et al., NeurIPS 2017, section 4).

    Args:
        dims: 2 or 3.
        width: features after the first halving; twice and four times as many after the others.
        spectral: bound each layer's gain by 1 (Miyato et al., ICLR 2018), for a hinge loss.
    """

    def __init__(self, dims: int, width: int = 32, *, spectral: bool = False) -> None:
        super().__init__()
        kind = nn.Conv2d if dims == 2 else nn.Conv3d
        widths = [1, width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for above, here in zip(widths, [*widths[1:], 1], strict=True):
            layer = kind(above, here, 3, stride=1 if here == 1 else 2, padding=1)
            layers.append(spectral_norm(layer) if spectral else layer)
            if here != 1:
                layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, *patch)`` to ``(B,)``: the mean score, the higher the cleaner it looks."""
        scores: Tensor = self.scores(x)
        return scores.flatten(1).mean(1)

    def scores(self, x: Tensor) -> Tensor:
        """``(B, 1, *patch)`` to ``(B, 1, *coarse)``: a score a place."""
        judged: Tensor = self.layers(x)
        return judged
