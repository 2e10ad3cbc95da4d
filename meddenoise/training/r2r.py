"""Recorrupted-to-recorrupted: learn from one noisy scan, made noisier in two independent ways."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError
from meddenoise.training.known_noise import KnownNoiseTrainer
from meddenoise.training.trainer import register_trainer

__all__ = ["R2RTrainer"]


@register_trainer("r2r")
class R2RTrainer(KnownNoiseTrainer):
    """Pang et al., "Recorrupted-to-Recorrupted", CVPR 2021.

    With noise w of the scan's own level, drawn anew at every step,

        y1 = y + sqrt(alpha / (1 - alpha)) w,    y2 = y - sqrt((1 - alpha) / alpha) w

    have independent noise: y2 is a target for f(y1) as good as a second scan, if a noisier one.
    ``|f(y1) - y2|^2`` is the squared error of f(y1) to the truth plus sigma^2 / alpha, in the mean;
    that constant is left out of the loss.

    As published the network is used on noise that is weaker than what it learned at, and smooths
    too much. Here it gets ``c y1`` and gives c times the image, ``c = sqrt(1 - alpha)``: noise of
    the scan's own level, on an image of somewhat less contrast. (BSD68, sigma 25, from the network
    that ships, 2000 steps: 28.84 dB and not 28.74.)

    Right for white Gaussian noise of a known level, as :class:`SureTrainer`.

    Args:
        sigma: standard deviation of the noise in the scan's units, or ``"10%"`` of its 99.9th
            percentile; estimated for each scan if null.
        alpha: between 0 and 1; the noise of y1 has the variance sigma^2 / (1 - alpha), and of y2
            sigma^2 / alpha.
        noise_map: tell the network the level as well, in a second channel.
    """

    def __init__(
        self, sigma: float | str | None = None, alpha: float = 0.15, noise_map: bool = False
    ) -> None:
        super().__init__(sigma, noise_map)
        if not 0 < alpha < 1:
            raise ParameterError(f"alpha is above 0 and below 1, not {alpha}.")
        self.alpha = alpha
        self.options["alpha"] = alpha

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error between what f makes of y1, and y2."""
        sigma, ratio = self.level(batch), self.alpha / (1 - self.alpha)
        noise = sigma * draws.normal("recorruption", *batch.image.shape[1:])
        weaker = (1 - self.alpha) ** 0.5
        noisier = replace(batch, image=weaker * (batch.image + ratio**0.5 * noise))
        target = batch.image - noise / ratio**0.5
        output = network(self.network_input(noisier)).float() / weaker
        error = (output - target).square() - sigma**2 / self.alpha
        if batch.valid is not None:
            # A mean over all, not over the measured ones: so it is the mean over processes, too.
            error = error * batch.valid
        return error.mean(), {}
