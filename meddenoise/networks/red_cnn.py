"""RED-CNN: a residual encoder and decoder without a coarser grid, made for low-dose CT."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import conv, start_as_zero
from meddenoise.networks.levels import MOST_LAYERS
from meddenoise.networks.registry import register_network

__all__ = ["REDCNN"]


@register_network("red_cnn")
class REDCNN(nn.Module):
    """A residual encoder and decoder for low-dose CT (Chen et al., IEEE TMI 36(12), 2017).

    Figure 1 of "Low-Dose CT with a Residual Encoder-Decoder Convolutional Neural Network": ten
    layers; every second output of the encoder is added to the decoder's, and the image to the last
    one. Two things differ from the paper: layers keep the size, where the paper's convolutions lose
    their border and its deconvolutions of stride 1 give it back (so that images of any size pass),
    and there is no ReLU at the end, for normalised intensities may be negative.

    Args:
        dims: 2 or 3.
        layers: of the encoder, and again of the decoder; at least 1.
        width: feature channels (the paper: 96).
        kernel: voxels across, odd (the paper: 5). In 3-D the paper's numbers are 9 million weights
            and many hours on a CPU: take ``kernel: 3, width: 32`` there.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: an impossible number of layers or channels, or an even kernel.
    """

    def __init__(
        self, dims: int = 3, layers: int = 5, width: int = 96, kernel: int = 5, inputs: int = 1
    ) -> None:
        super().__init__()
        if not 1 <= layers <= MOST_LAYERS or width < 1:
            raise ConfigError(
                f"A RED-CNN has at least 1 layer, at most {MOST_LAYERS}, and at least 1 feature "
                f"channel, not {layers} and {width}."
            )
        if kernel < 1 or kernel % 2 == 0:
            raise ConfigError(f"network.kernel is an odd number of voxels, not {kernel}.")
        self.encoder = nn.ModuleList(
            conv(dims, inputs if number == 0 else width, width, kernel) for number in range(layers)
        )
        self.act = nn.ReLU(inplace=True)
        self.decoder = nn.ModuleList(
            conv(dims, width, width if number < layers - 1 else 1, kernel)
            for number in range(layers)
        )
        start_as_zero(self.decoder[-1])
        self.halo = (2 * layers * (kernel // 2),) * dims
        self.multiple = (1,) * dims

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        y, kept = x, [x[:, :1]]
        for layer in self.encoder:
            y = self.act(layer(y))
            kept.append(y)
        for number, layer in enumerate(self.decoder, start=1):
            y = layer(y)
            left = len(self.encoder) - number  # convolutions of the encoder at the same depth
            if left % 2 == 0:
                y = y + kept[left]
            if left:
                y = torch.relu(y)
        return y
